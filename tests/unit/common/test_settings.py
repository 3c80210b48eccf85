from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from libs.common.settings import Secret, SettingsError, load


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    port: int
    password: Secret
    grace: timedelta = timedelta(seconds=1)
    hosts: tuple[str, ...] = ()
    is_open: bool = False
    keys: dict[str, str] = msgspec.field(default_factory=dict)


GOOD = {"REQRUN_PORT": "80", "REQRUN_PASSWORD": "hunter2"}


def test_every_field_is_read_from_its_variable() -> None:
    settings = load(
        Sample,
        GOOD
        | {
            "REQRUN_GRACE": "2.5",
            "REQRUN_HOSTS": "a, b,",
            "REQRUN_IS_OPEN": "true",
            "REQRUN_KEYS": '{"a":"b"}',
        },
    )

    assert (settings.port, settings.password.reveal()) == (80, "hunter2")
    assert settings.grace == timedelta(seconds=2.5)
    assert (settings.hosts, settings.is_open, settings.keys) == (("a", "b"), True, {"a": "b"})


def test_all_that_is_missing_or_wrong_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        load(Sample, {"REQRUN_PORT": "eighty", "REQRUN_GRACE": "soon"})

    for name in ("REQRUN_PORT", "REQRUN_PASSWORD", "REQRUN_GRACE"):
        assert name in str(error.value)
    assert "eighty" not in str(error.value)


def test_a_secret_shows_itself_only_when_asked() -> None:
    settings = load(Sample, GOOD)

    assert "hunter2" not in repr(settings)
    assert f"{settings.password}" == "***"


def test_what_the_environment_lacks_is_read_from_the_folder_of_secrets(tmp_path: Path) -> None:
    (tmp_path / "REQRUN_PASSWORD").write_text("from a file\n")
    (tmp_path / "REQRUN_PORT").write_text("81")

    settings = load(Sample, {"REQRUN_SECRETS": str(tmp_path), "REQRUN_PORT": "80"})

    assert (settings.port, settings.password.reveal()) == (80, "from a file")


def test_a_secret_that_cannot_be_read_is_named_and_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "REQRUN_PASSWORD").write_bytes(b"hunter2\xff")

    with pytest.raises(SettingsError, match="REQRUN_PASSWORD cannot be read") as error:
        load(Sample, {"REQRUN_SECRETS": str(tmp_path), "REQRUN_PORT": "80"})

    assert "hunter2" not in str(error.value)


def test_a_folder_without_the_file_is_as_good_as_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="REQRUN_PASSWORD is not set"):
        load(Sample, {"REQRUN_SECRETS": str(tmp_path / "none"), "REQRUN_PORT": "80"})
