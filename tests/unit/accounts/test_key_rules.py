"""Names, lives and digests of API keys."""

from datetime import timedelta

import pytest

from libs.common.contracts.accounts import KeyDigests
from services.accounts.domain.errors import (
    InvalidDigests,
    InvalidExpiry,
    InvalidName,
    InvalidOverlap,
    InvalidProjectSettings,
)
from services.accounts.domain.keys import check_life, check_overlap, parse_digests
from services.accounts.domain.names import check_name
from services.accounts.domain.projects import ProjectSettings, check_settings


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x00b", "\ud800"])
def test_what_nobody_could_read_is_no_name(name: str) -> None:
    with pytest.raises(InvalidName):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "x" * 100, "Grüße 🚀", " around "])
def test_other_names_are_kept_without_the_blanks_around_them(name: str) -> None:
    assert check_name(name) == name.strip()


@pytest.mark.parametrize("days", [-1, 0, 3_651])
def test_no_key_lives_for_no_time_or_for_ever_by_mistake(days: int) -> None:
    with pytest.raises(InvalidExpiry):
        check_life(timedelta(days=days))


@pytest.mark.parametrize("life", [None, timedelta(days=1), timedelta(days=3_650)])
def test_other_lives_are_kept(life: timedelta | None) -> None:
    assert check_life(life) == life


def test_digests_are_read_from_hex() -> None:
    asked = (KeyDigests("00" * 32), KeyDigests("Ff" * 32, ("00" * 32,)))

    assert parse_digests(asked, 2) == [(bytes(32), ()), (b"\xff" * 32, (bytes(32),))]


@pytest.mark.parametrize("texts", [("00" * 32,) * 3, ("0g" * 32,), ("00" * 31,), ("",)])
def test_what_is_no_digest_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidDigests):
        parse_digests([KeyDigests(text) for text in texts], 2)
    with pytest.raises(InvalidDigests):
        parse_digests([KeyDigests("00" * 32, (*texts, "00" * 32, "00" * 32))], 2)


@pytest.mark.parametrize("hours", [-1, 721])
def test_no_key_is_handed_over_for_ever(hours: int) -> None:
    with pytest.raises(InvalidOverlap):
        check_overlap(timedelta(hours=hours))


@pytest.mark.parametrize("hours", [0, 24, 720])
def test_other_overlaps_are_kept(hours: int) -> None:
    assert check_overlap(timedelta(hours=hours)) == timedelta(hours=hours)


def test_a_project_sets_what_is_named_and_nothing_else() -> None:
    wish = ProjectSettings(running=3, retention=timedelta(hours=2), allowed_addresses=())

    assert check_settings(wish) == {
        "running": 3,
        "retention_seconds": 7_200,
        "allowed_addresses": [],
    }


@pytest.mark.parametrize(
    "wish",
    [
        ProjectSettings(),
        ProjectSettings(running=0),
        ProjectSettings(allowed_addresses=("192.0.2.1/24",)),
        ProjectSettings(allowed_addresses=("home",)),
        ProjectSettings(allowed_addresses=("192.0.2.0/24",) * 51),
        ProjectSettings(requests_per_minute=2**31),
        ProjectSettings(running=1, retention=timedelta(hours=-1)),
    ],
)
def test_a_setting_of_nothing_is_refused(wish: ProjectSettings) -> None:
    with pytest.raises(InvalidProjectSettings):
        check_settings(wish)
