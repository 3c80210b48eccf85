"""Two versions of the code: where the one before lies, and how the processes of each are run.

The one before is taken from git's history: the newest commit whose ledger has fewer migrations than
this tree's. `REQRUN_PREVIOUS` names another (a tag, say). Where the history is not there, nothing
can be tested, and that is a failure: `git fetch --unshallow`.
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from deploy.local.programs import Program
from tests.support.archives import unpack

ROOT: Final = Path(__file__).parents[2]
VERSIONS: Final = "libs/ledger/migrations/versions"
LOCK: Final = "requirements.lock"
OVERRIDE: Final = "REQRUN_PREVIOUS"
_SECONDS: Final = 300

# Run by a release in its own tree: its own idea of its processes, in a stack's folder.
_TELL: Final = """
import sys
from pathlib import Path
import msgspec
from deploy.local.processes import MIGRATIONS, SEED
from deploy.local.stack import Options, Stack
stack = Stack(Path(sys.argv[1]), Options(settings=msgspec.json.decode(sys.argv[2])))
told = {
    "processes": {name: process.program for name, process in stack.processes.items()},
    "migrations": [stack.site.program(migration) for migration in MIGRATIONS],
    "seed": stack.site.program(SEED),
}
sys.stdout.buffer.write(msgspec.json.encode(told))
"""


class NoPrevious(Exception):
    """The version before this one cannot be had here."""


class Programs(msgspec.Struct, frozen=True):
    """All that a release runs: its processes by name, its migration jobs, and the demo's seed."""

    processes: dict[str, Program]
    migrations: list[Program]
    seed: Program


class Release(msgspec.Struct, frozen=True):
    """A version of the code, laid out in `folder`; `python` has what its lock names."""

    name: str
    folder: Path
    python: str = sys.executable

    def programs(self, stack: Path, settings: Mapping[str, str]) -> Programs:
        """How it runs in a stack's folder, by its own code; see Options for `settings`."""
        command = [sys.executable, "-c", _TELL, str(stack), msgspec.json.encode(settings).decode()]
        told = msgspec.json.decode(_run(command, self.folder), type=Programs)
        return msgspec.structs.replace(
            told,
            processes={name: self._own(one) for name, one in told.processes.items()},
            migrations=[self._own(one) for one in told.migrations],
            seed=self._own(told.seed),
        )

    def _own(self, program: Program) -> Program:
        """By its own interpreter, in its own tree."""
        command = (self.python, *program.command[1:])
        return msgspec.structs.replace(program, command=command, folder=str(self.folder))


def head() -> Release:
    """This tree, as it is on the disk."""
    return Release("next", ROOT)


def previous(folder: Path, repository: Path = ROOT) -> Release:
    """The version before, in `folder`; NoPrevious says why there is none."""
    commit = os.environ.get(OVERRIDE) or previous_commit(repository)
    tree = folder / "tree"
    packed = _git(repository, "archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        unpack(archive, tree)
    if (tree / LOCK).read_bytes() == (repository / LOCK).read_bytes():
        return Release(f"previous ({commit[:7]})", tree)
    return Release(f"previous ({commit[:7]})", tree, _interpreter(folder, tree / LOCK))


def previous_commit(repository: Path = ROOT) -> str:
    """The newest commit whose ledger has an older head than the tree on the disk."""
    newest = max(_revisions(path.name for path in (repository / VERSIONS).glob("*.py")))
    touched = _git(repository, "log", "--format=%H", "--", VERSIONS).decode().split()
    for commit in ("HEAD", *(f"{one}^" for one in touched)):
        try:
            listed = _git(repository, "ls-tree", "--name-only", commit, f"{VERSIONS}/")
        except NoPrevious as missing:
            shallow = "the history ends before it (a shallow clone: `git fetch --unshallow`)"
            raise NoPrevious(f"the ledger before {newest} cannot be found: {shallow}") from missing
        before = _revisions(line.rpartition("/")[2] for line in listed.decode().splitlines())
        if before and max(before) < newest:
            return _git(repository, "rev-parse", commit).decode().strip()
    raise NoPrevious(f"no commit has a ledger older than {newest}")


def _revisions(names: Iterator[str]) -> list[str]:
    return [name[:4] for name in names if name[:4].isdigit()]


def _interpreter(folder: Path, lock: Path) -> str:
    """One with exactly the packages of another lock than ours."""
    made = folder / "venv"
    uv = str(Path(sys.executable).parent / "uv")
    python = str(made / "bin" / "python")
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(made)], folder)
    _run([uv, "pip", "install", "--quiet", "--python", python, "--requirements", str(lock)], folder)
    return python


def _git(repository: Path, *words: str) -> bytes:
    try:
        return _run(["git", *words], repository)
    except (OSError, subprocess.CalledProcessError) as failure:
        why = getattr(failure, "stderr", b"") or str(failure).encode()
        raise NoPrevious(f"git {words[0]}: {why.decode().strip()}") from None


def _run(command: list[str], folder: Path) -> bytes:
    done = subprocess.run(  # noqa: S603  the command is ours
        command, cwd=folder, capture_output=True, timeout=_SECONDS, check=True
    )
    return done.stdout
