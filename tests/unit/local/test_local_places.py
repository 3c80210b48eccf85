import os
from pathlib import Path

import pytest

from deploy.local import places


def test_a_private_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("before")
    file.chmod(0o666)
    places.write_private(file, "after")
    assert file.read_text() == "after"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_under_a_closed_one_is_not_reachable(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    closed.chmod(0o700)
    assert not places.is_reachable(closed / "open")


def test_server_data_is_found_again(tmp_path: Path) -> None:
    first = places.server_folder(tmp_path / "data")
    try:
        assert first.is_dir()
        assert places.server_folder(tmp_path / "data") == first
    finally:
        first.rmdir()


def test_data_of_a_deleted_installation_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)  # only root's servers keep their data elsewhere
    monkeypatch.setattr(places, "_STATE", tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    first = places.server_folder(closed / "data")
    (first / "postgresql").mkdir()
    (closed / "data").unlink()  # as `rm -rf .reqrun` does, which leaves what a link points at

    second = places.server_folder(closed / "data")

    assert second != first
    assert list(second.iterdir()) == []
    assert second.stat().st_mode & 0o777 == 0o711
    assert places.server_folder(closed / "data") == second
