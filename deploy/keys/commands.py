"""`python -m deploy.keys …`: what each command does, and what it answers."""

import asyncio
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any, Final

import msgspec

from deploy.keys import archive, findings, folder, retiring, use
from deploy.keys.findings import Finding, Report
from deploy.keys.folder import KeysRefused
from deploy.keys.material import Material
from deploy.keys.retiring import Old
from libs.common import commands
from libs.common.commands import Argument, Command

DATABASE_URL: Final = "REQRUN_DATABASE_URL"


class MadeView(msgspec.Struct, frozen=True):
    """What there is now, by id, newest first. No secret."""

    folder: str
    peppers: str
    executor: str
    data_plane: str
    services: str

    @classmethod
    def of(cls, path: Path, made: Material) -> "MadeView":
        """From the material."""
        return cls(
            str(path),
            ", ".join(str(pepper.id) for pepper in made.peppers),
            ", ".join(pair.key_id for pair in made.executor),
            ", ".join(pair.key_id for pair in made.data_plane),
            ", ".join(pair.key_id for pair in made.services.values()),
        )


class BackupView(msgspec.Struct, frozen=True):
    """A backup that was read back."""

    archive: str
    files: int


def init(given: Namespace) -> MadeView:
    """`init`."""
    return MadeView.of(given.folder, folder.create(given.folder))


def backup(given: Namespace) -> BackupView:
    """`backup`."""
    return BackupView(str(given.archive), archive.backup(given.folder, given.archive))


def check(given: Namespace) -> Report:
    """`check`; with a database, also whether all that it uses is here."""
    found = findings.inspect(given.folder)
    url = given.database_url or os.environ.get(DATABASE_URL, "")
    if url:
        try:
            found += asyncio.run(use.inspect(url, folder.load(given.folder)))
        except KeysRefused as refused:
            found.append(Finding("database", is_good=False, says=str(refused)))
    return Report.of(found)


def rotate_pepper(given: Namespace) -> MadeView:
    """`rotate pepper`."""
    return MadeView.of(given.folder, folder.rotate_pepper(given.folder))


def rotate_data_plane(given: Namespace) -> MadeView:
    """`rotate data-plane`."""
    return MadeView.of(given.folder, folder.rotate_data_plane(given.folder))


def rotate_executor(given: Namespace) -> MadeView:
    """`rotate executor`."""
    return MadeView.of(given.folder, folder.rotate_executor(given.folder))


def retire_pepper(given: Namespace) -> MadeView:
    """`retire pepper`."""
    return _retire("pepper", given)


def retire_data_plane(given: Namespace) -> MadeView:
    """`retire data-plane`."""
    return _retire("data-plane", given)


def retire_executor(given: Namespace) -> MadeView:
    """`retire executor`."""
    return _retire("executor", given)


def _retire(kind: str, given: Namespace) -> MadeView:
    url = given.database_url or os.environ.get(DATABASE_URL, "")
    old = Old(kind, given.id, url, given.backup)
    return MadeView.of(given.folder, retiring.retire(given.folder, old))


_FOLDER: Final[Argument] = (
    "--folder",
    {"type": Path, "required": True, "metavar": "PATH", "help": "where the key material is"},
)
_ARCHIVE: Final[Argument] = ("archive", {"type": Path, "metavar": "FILE"})
_URL_HELP: Final = f"of accounts, to see what is in use; better set {DATABASE_URL}"
_URL: Final[Argument] = ("--database-url", {"metavar": "URL", "help": _URL_HELP})

_OLD: Final[tuple[Argument, ...]] = (
    ("id", {"metavar": "ID", "help": "as `check` and `rotate` tell it; never the newest"}),
    _FOLDER,
    _URL,
    (
        "--backup",
        {"type": Path, "required": True, "metavar": "FILE", "help": "written first, with the key"},
    ),
)

COMMANDS: Final = {
    "init": Command(init, "make all key material, once", (_FOLDER,)),
    "backup": Command(backup, "write one archive, and read it back", (_FOLDER, _ARCHIVE)),
    "check": Command(check, "is everything there, private, and whole?", (_FOLDER, _URL)),
    "rotate pepper": Command(rotate_pepper, "put a new pepper first", (_FOLDER,)),
    "rotate data-plane": Command(rotate_data_plane, "put a new data plane key first", (_FOLDER,)),
    "rotate executor": Command(rotate_executor, "put a new executor key first", (_FOLDER,)),
    "retire pepper": Command(retire_pepper, "take out an old pepper that nothing is under", _OLD),
    "retire data-plane": Command(retire_data_plane, "take out an old data plane key", _OLD),
    "retire executor": Command(retire_executor, "take out an old executor key", _OLD),
}


def parser() -> ArgumentParser:
    """`call` is the chosen command."""
    return commands.parser(
        "python -m deploy.keys",
        "Make, back up, check, rotate and retire key material.",
        "After rotating a sealing key, `python -m services.accounts keys reseal` moves what is"
        " sealed to it. docs/operations.md says in which order.",
        COMMANDS,
    )


def is_good(answer: Any) -> bool:
    """Whether the process may end with 0."""
    return not isinstance(answer, Report) or answer.is_good
