"""Making, checking, backing up and rotating key material."""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.keys import archive, findings, folder
from deploy.keys.__main__ import main
from deploy.keys.folder import DATA_PLANE, EXECUTOR, FILES, PEPPERS, KeysRefused
from deploy.keys.material import SERVICES
from libs.common.clock import SystemClock
from libs.common.crypto import PublicSealingKey, SealingKey, SealingKeyring
from libs.common.tokens import ServiceTokens, TokenVerifier
from tests.support.archives import unpack


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with everything in it."""
    made = tmp_path / "keys"
    folder.create(made)
    return made


def problems(keys: Path) -> dict[str, str]:
    return {one.item: one.says for one in findings.inspect(keys) if not one.is_good}


def change(file: Path, edit: Callable[[Any], Any]) -> None:
    file.write_text(json.dumps(edit(json.loads(file.read_text()))))


def test_everything_is_made_once_private_and_whole(keys: Path) -> None:
    assert {file.name for file in keys.iterdir()} == set(FILES)
    assert {file.stat().st_mode & 0o777 for file in keys.iterdir()} == {0o600}
    assert keys.stat().st_mode & 0o777 == 0o700
    assert problems(keys) == {}


def test_what_is_there_is_never_overwritten(keys: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in keys.iterdir()}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("somebody's")

    for place in (keys, tmp_path / "other"):
        with pytest.raises(KeysRefused):
            folder.create(place)

    assert {file.name: file.read_bytes() for file in keys.iterdir()} == before
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["file"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys", "other"]


def test_an_interrupted_try_is_forgotten(tmp_path: Path) -> None:
    draft = tmp_path / ".keys.new"
    draft.mkdir()
    (draft / PEPPERS).write_text("half")

    folder.create(tmp_path / "keys")

    assert problems(tmp_path / "keys") == {}
    assert not draft.exists()


def test_the_keys_do_what_they_are_for(keys: Path) -> None:
    made = folder.load(keys)

    for pairs in (made.executor, made.data_plane):
        sealed = PublicSealingKey.from_text(pairs[0].public).seal(b"x", "context")
        keyring = SealingKeyring([SealingKey.from_text(pairs[0].private)])
        assert keyring.open(sealed, "context") == b"x"
    for service in SERVICES:
        pair = made.services[service]
        tokens = ServiceTokens(service, pair.key_id, pair.private, SystemClock())
        verifier = TokenVerifier(made.service_public_keys, "accounts", SystemClock())
        assert verifier.verify(tokens.issue("accounts")) == service


def test_after_a_rotation_old_and_new_are_both_there_newest_first(keys: Path) -> None:
    before = folder.load(keys)

    folder.rotate_pepper(keys)
    folder.rotate_executor(keys)
    folder.rotate_data_plane(keys)

    after = folder.load(keys)
    assert [pepper.id for pepper in after.peppers] == [2, 1]
    assert after.peppers[1:] == before.peppers
    assert after.executor[1:] == before.executor
    assert after.data_plane[1:] == before.data_plane
    assert after.older_peppers == before.peppers[0].secret
    assert problems(keys) == {}
    assert {file.name for file in keys.iterdir()} == set(FILES)


def test_a_backup_holds_everything_and_is_private(keys: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.tar"

    assert archive.backup(keys, target) == len(FILES)

    assert target.stat().st_mode & 0o777 == 0o600
    restored = tmp_path / "restored"
    restored.mkdir(mode=0o700)
    with tarfile.open(target) as opened:
        unpack(opened, restored)
    assert folder.load(restored) == folder.load(keys)
    assert problems(restored) == {}


def test_a_backup_overwrites_nothing_and_keeps_nothing_broken(keys: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.tar"
    target.write_text("another backup")
    with pytest.raises(KeysRefused):
        archive.backup(keys, target)
    assert target.read_text() == "another backup"

    (keys / PEPPERS).write_text("[]")
    with pytest.raises(KeysRefused, match=PEPPERS):
        archive.backup(keys, tmp_path / "second.tar")
    assert not (tmp_path / "second.tar").exists()


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        (PEPPERS, lambda file: file.unlink(), "cannot be read"),
        (PEPPERS, lambda file: file.write_text("{"), "does not hold what it should"),
        (PEPPERS, lambda file: file.write_text("[]"), "holds no key"),
        (PEPPERS, lambda file: file.chmod(0o644), "others than its owner"),
        (
            PEPPERS,
            lambda file: change(file, lambda c: [{**c[0], "secret": "c2hvcnQ="}]),
            "pepper 1",
        ),
        (PEPPERS, lambda file: change(file, lambda c: [*c, {**c[0], "id": 9}]), "newest"),
        (EXECUTOR, lambda file: change(file, lambda c: [{**c[0], "private": "x"}]), "no X25519"),
        (
            DATA_PLANE,
            lambda file: change(
                file, lambda c: [{**c[0], "public": SealingKey.generate().public_text()}]
            ),
            "do not match",
        ),
        (
            "service-gateway.json",
            lambda file: change(file, lambda c: {**c, "public": c["public"].lower()}),
            "do not match",
        ),
        (
            "service-billing.json",
            lambda file: change(file, lambda c: {**c, "private": "none"}),
            "no private key",
        ),
    ],
)
def test_a_check_says_what_is_wrong_and_quotes_no_key(
    keys: Path, name: str, spoil: Callable[[Path], None], says: str
) -> None:
    secrets = [pepper.secret for pepper in folder.load(keys).peppers]
    spoil(keys / name)

    found = problems(keys)

    assert list(found) == [name]
    assert says in found[name]
    assert not [secret for secret in secrets if secret in found[name]]


def test_a_folder_that_is_open_or_missing_is_named(keys: Path) -> None:
    keys.chmod(0o755)
    assert list(problems(keys)) == [str(keys)]
    shutil.rmtree(keys)
    assert len(problems(keys)) == 1 + len(FILES)


def test_the_command_line_makes_checks_and_rotates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--folder", str(tmp_path / "keys"))
    assert main(["init", *where]) == 0
    assert main(["init", *where]) == 1
    assert main(["rotate", "pepper", *where]) == 0
    assert main(["backup", *where, str(tmp_path / "backup.tar")]) == 0
    capsys.readouterr()

    assert main(["check", *where, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["is_good"] is True
    (tmp_path / "keys" / EXECUTOR).unlink()
    assert main(["check", *where, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["is_good"] is False
    assert main(["check", *where, "--database-url", "postgresql://u:hunter2@127.0.0.1:1/a"]) == 1
    assert "hunter2" not in capsys.readouterr().out
    assert main(["rotate", "executor", *where]) == 1
