"""Backups of PostgreSQL as docs/operations.md says, the loss of a site, and another in its place.

Two ways: a base backup with every change since (nothing that was acknowledged is missing), and
dumps (what came after them is missing). A site is lost with all it has: servers, data, processes.
The world outside (provider, mail, Paddle) and the addresses stay.
"""

import asyncio
import os
import shutil
import signal
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from deploy.keys import archive
from deploy.local import databases, places
from deploy.local.programs import Program, ProgramFailed, Running, run_once
from deploy.local.servers.postgresql import PostgreSql, binaries
from deploy.local.stack import Options, Stack
from services.accounts.use_cases.demo import Demo
from tests.support import dumps
from tests.support.archives import unpack
from tests.support.dumps import Dump
from tests.support.servers import folder_for_servers
from tests.support.stack import SHORT, System, tidy

ORDER: Final = ("billing", "requests", "accounts")
"""Of dumps. The ledger needs accounts for all that it took, and tells billing again."""

OUTSIDE: Final = ("mail", "paddle", "simulator")
_ARCHIVE: Final = "archive"
_RECOVERY: Final = """
restore_command = 'cp {log}/%f %p'
hot_standby = off
synchronous_standby_names = ''
"""
_TARGET: Final = """
recovery_target_time = '{until}'
recovery_target_action = 'promote'
"""


class ChangeLog:
    """Every change of a PostgreSQL, on a disk of its own before it is acknowledged."""

    def __init__(self, server: PostgreSql, folder: Path) -> None:
        """`folder` is made."""
        self._server = server
        self.folder = places.make_folder(folder, server.account)
        self._receiver = Running(self._program("pg_receivewal", "--synchronous"))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """From here on no commit is acknowledged that is not in it."""
        run_once(self._program("pg_receivewal", "--create-slot", "--if-not-exists"))
        self._receiver.start()
        try:
            self._server.execute("ALTER SYSTEM SET synchronous_standby_names = 'archive'")
            self._server.execute("SELECT pg_reload_conf()")
            yield
        finally:
            with suppress(ProgramFailed):
                self._receiver.stop()

    def base_backup(self, folder: Path) -> Path:
        """All data files, without the changes: those are here."""
        places.make_folder(folder, self._server.account)
        run_once(
            _tool(self._server, "pg_basebackup", "-D", str(folder), "-X", "none", "-c", "fast")
        )
        return folder

    def restore(self, base: Path, server: PostgreSql, until: datetime | None = None) -> None:
        """Lay out the data of a server that never ran: it replays the changes when it starts.

        `until`: those that were committed by then; all, where it is None.
        """
        self._receiver.stop()
        for partial in self.folder.glob("*.partial"):
            partial.rename(partial.with_suffix(""))  # the one that was being written
        copy(base, server.data)
        with (server.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(_RECOVERY.format(log=self.folder))
            if until is not None:
                settings.write(_TARGET.format(until=until.isoformat()))
        places.write_private(server.data / "recovery.signal", "", server.account)

    def _program(self, name: str, *options: str) -> Program:
        slot = ("-D", str(self.folder), "--slot", _ARCHIVE)
        return _tool(self._server, name, *slot, *options)


def _tool(server: PostgreSql, name: str, *options: str) -> Program:
    """A client program under the server's account; SIGINT is its end."""
    return Program(
        name=name,
        command=(
            str(binaries() / name), "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres",
            *options,
        ),
        environment={
            "PATH": os.defpath, "LANG": "C.UTF-8", "PGPASSWORD": server.password,
            "PGAPPNAME": _ARCHIVE,
        },
        account=server.account,
        stop_signal=signal.SIGINT,
    )  # fmt: skip


def copy(source: Path, target: Path) -> None:
    """With owners and modes."""
    command = ("/bin/cp", "-a", str(source), str(target))
    run_once(Program(name="cp", command=command, environment={"PATH": os.defpath}))


def dump_all(server: PostgreSql, folder: Path) -> list[Dump]:
    """All three databases, in ORDER."""
    return [dumps.dump(server, name, folder) for name in ORDER]


class Survivor(System):
    """A site in the place of one that was lost, with the accounts of that one."""

    def __init__(self, stack: Stack, call_log: Path, seeded: Demo) -> None:
        """Started."""
        self._seeded = seeded
        super().__init__(stack, call_log)

    def _seed(self) -> Demo:
        return self._seeded


def keep_keys(stack: Stack, folder: Path) -> None:
    """What is kept apart from all databases: key material and passwords."""
    archive.backup(stack.site.folder / "keys", folder / "keys.tar")
    shutil.copy2(stack.site.folder / "secrets.json", folder)


async def lose(system: System) -> None:
    """All of it at once, PostgreSQL first and with its disk."""
    await system.kill("postgresql")
    shutil.rmtree(system.stack.postgresql.data)
    own = [name for name in system.stack.processes if name not in OUTSIDE]
    await asyncio.gather(*(system.kill(name) for name in ("rabbitmq", "redis", *own)))
    await asyncio.to_thread(system.stack.rabbitmq.mapper.stop)


@contextmanager
def another_site(lost: System, kept: Path, logs: Path) -> Iterator[Stack]:
    """A stack with nothing but the keys that were kept, at the addresses of the one that was lost.

    Not started: its PostgreSQL is empty, or what is laid out for it.
    """
    with folder_for_servers() as folder:
        site = folder / "stack"
        site.mkdir(mode=0o700)
        for name, source in (("secrets.json", kept), ("ports.json", lost.stack.site.folder)):
            shutil.copy2(source / name, site)
        _unpack(kept / "keys.tar", site / "keys")
        settings = {**SHORT, "CALL_LOG": str(lost.call_log)}
        stack = Stack(site, Options(counts=dict.fromkeys(OUTSIDE, 0), settings=settings))
        try:
            yield stack
        finally:
            try:
                stack.stop()
            finally:
                tidy(stack, logs)


def restore_dumps(stack: Stack, taken: list[Dump]) -> None:
    """Into new databases of a PostgreSQL that it starts; whatever is not in a dump is not there."""
    stack.postgresql.start()
    databases.create(stack.postgresql, stack.site.keys)
    for dump in taken:
        dumps.restore(stack.postgresql, dump.database, dump.lasting, dump.keys)


def _unpack(archived: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with tarfile.open(archived) as packed:
        unpack(packed, folder)
