"""Which version is the one before; and without history there is an error, never a silent pass."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.releases import LOCK, OVERRIDE, VERSIONS, NoPrevious, previous, previous_commit

WHO = ("-c", "user.name=test", "-c", "user.email=test@example.com")


def git(folder: Path, *words: str) -> str:
    environment = {"PATH": os.defpath, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    done = subprocess.run(  # noqa: S603  the command is ours
        ("git", *WHO, *words),  # noqa: S607  found on the path, as everywhere
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder: Path, *files: str) -> str:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two migrations, and commits before, between and after them."""
    made = tmp_path / "repository"
    made.mkdir()
    git(made, "init", "--quiet")
    commit(made, LOCK)
    commit(made, f"{VERSIONS}/0001_first.py")
    return made


def test_it_is_the_newest_commit_with_an_older_ledger(repository: Path) -> None:
    before = commit(repository, "code.py")
    commit(repository, f"{VERSIONS}/0002_second.py")
    commit(repository, "more.py")

    assert previous_commit(repository) == before


def test_a_migration_that_is_not_committed_makes_head_the_one_before(repository: Path) -> None:
    (repository / VERSIONS / "0002_second.py").write_text("")

    assert previous_commit(repository) == git(repository, "rev-parse", "HEAD")


def test_a_migration_that_was_changed_later_is_no_newer(repository: Path) -> None:
    before = commit(repository, "code.py")
    commit(repository, f"{VERSIONS}/0002_second.py")
    (repository / VERSIONS / "0002_second.py").write_text("mended")
    commit(repository)

    assert previous_commit(repository) == before


def test_its_tree_is_laid_out_as_it_was(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(OVERRIDE, raising=False)
    before = commit(repository, "code.py")
    commit(repository, f"{VERSIONS}/0002_second.py")

    release = previous(tmp_path / "previous", repository)

    assert release.name == f"previous ({before[:7]})"
    assert [path.name for path in (release.folder / VERSIONS).iterdir()] == ["0001_first.py"]


def test_a_shallow_clone_is_an_error_that_says_what_to_do(repository: Path, tmp_path: Path) -> None:
    commit(repository, f"{VERSIONS}/0002_second.py")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", "shallow")

    with pytest.raises(NoPrevious, match="git fetch --unshallow"):
        previous_commit(tmp_path / "shallow")


def test_no_repository_and_no_older_ledger_are_errors(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(NoPrevious, match="no commit has a ledger older than 0001"):
        previous_commit(repository)

    (tmp_path / "bare" / VERSIONS).mkdir(parents=True)
    (tmp_path / "bare" / VERSIONS / "0001_first.py").write_text("")
    with pytest.raises(NoPrevious, match="not a git repository"):
        previous_commit(tmp_path / "bare")
