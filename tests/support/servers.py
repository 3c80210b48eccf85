"""Private servers for tests, in temporary folders, on free ports."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.server import Server

Some = TypeVar("Some", bound=Server)


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A fresh folder that the servers' accounts can enter; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="reqrun-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(kind: type[Some]) -> Iterator[Some]:
    """A started server in a folder of its own; stopped and removed at the end."""
    with folder_for_servers() as folder:
        server = kind(folder / kind.name, password=secrets.token_urlsafe(16))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def shared(kind: type[Some]) -> Iterator[Some]:
    """A server for all tests of a session; no test may kill it: others keep connections to it."""
    with running(kind) as server:
        began = server.pid
        yield server
        assert server.pid == began, f"a test restarted the {kind.name} that all tests share"


@contextmanager
def database(server: PostgreSql, template: str = "template0") -> Iterator[str]:
    """A new database, empty unless copied from `template`; its address. Dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    address = server.create_database(name, template)
    try:
        yield address
    finally:
        server.drop_database(name)
