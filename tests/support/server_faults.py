"""What a server can do to everybody without being killed: refuse, block, throw out, fill up."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Literal

import psutil

from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.rabbitmq import RabbitMq
from tests.support.stack import System

Alarm = Literal["disk", "memory"]

_RAISED: Final[dict[Alarm, tuple[str, str]]] = {
    "disk": ("set_disk_free_limit", "100000000000000"),
    "memory": ("set_vm_memory_high_watermark", "0.00001"),
}
_CLEARED: Final[dict[Alarm, tuple[str, ...]]] = {
    "disk": ("set_disk_free_limit", "100000000"),
    "memory": ("set_vm_memory_high_watermark", "absolute", "1GiB"),
}
# The setting that is turned off here would also stop whoever turns it on again.
_WRITABLE: Final = "SET default_transaction_read_only = off;"
_RELOAD: Final = "SELECT pg_reload_conf();"
_TERMINATE: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_BACKENDS: Final = "SELECT pid, client_port FROM pg_stat_activity WHERE client_port IS NOT NULL"


@asynccontextmanager
async def alarm(node: RabbitMq, kind: Alarm) -> AsyncIterator[None]:
    """Whoever publishes is blocked; whoever only consumes is not."""
    await asyncio.to_thread(node.control, *_RAISED[kind])
    try:
        yield
    finally:
        await asyncio.to_thread(node.control, *_CLEARED[kind])


async def disconnect(node: RabbitMq) -> None:
    """Close every connection to the broker."""
    await asyncio.to_thread(node.control, "close_all_connections", "a test")


async def terminate_sessions(server: PostgreSql) -> None:
    """End every client's session, in whatever it is."""
    await asyncio.to_thread(server.execute, _TERMINATE)


@asynccontextmanager
async def configured(server: PostgreSql, setting: str, value: str) -> AsyncIterator[None]:
    """The whole server runs with another setting, its open sessions included."""
    change = f"{_WRITABLE} ALTER SYSTEM SET {setting} = {value}; {_RELOAD}"
    undo = f"{_WRITABLE} ALTER SYSTEM RESET {setting}; {_RELOAD}"
    await asyncio.to_thread(server.execute, change.replace(";", ";\n"))
    try:
        yield
    finally:
        await asyncio.to_thread(server.execute, undo.replace(";", ";\n"))


@contextmanager
def frozen_backends(system: System, process: str) -> Iterator[int]:
    """The server's side of each of a process's sessions stands still; how many those are."""
    ours = {
        connection.laddr.port
        for connection in psutil.Process(system.process(process).pid).net_connections("tcp")
    }
    rows = [row.split("|") for row in system.stack.postgresql.execute(_BACKENDS).splitlines()]
    pids = {int(pid) for pid, port in rows if int(port) in ours}
    children = psutil.Process(system.stack.postgresql.pid).children()
    backends = [child for child in children if child.pid in pids]
    for backend in backends:
        backend.suspend()
    try:
        yield len(backends)
    finally:
        for backend in backends:
            backend.resume()
