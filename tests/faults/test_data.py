"""PostgreSQL's data: no room for more, and an older state of it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from deploy.local import places
from deploy.local.programs import Program, ProgramFailed, run_once
from deploy.local.servers.postgresql import PostgreSql
from libs.common.broker.topology import WORK_FIRST, WORK_REST
from tests.faults.conftest import Judge
from tests.support import queues
from tests.support.checker_sources import drained
from tests.support.client import CarefulClient
from tests.support.orders import calls_since, is_ready, orders, stored_since, submit, submit_all
from tests.support.servers import folder_for_servers
from tests.support.stack import System
from tests.support.waiting import until

pytestmark = pytest.mark.slow

EXECUTORS: Final = ("executor", "executor-2")
HINTS: Final = "reqrun_hints_total"
SIZE: Final = "128m"
LARGE: Final = [{"role": "user", "content": "x" * 50_000}]
"""More than the free space of any page."""


@pytest.mark.fault(40)
async def test_on_a_full_disk_nothing_is_half_accepted_and_all_goes_on_when_there_is_room(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since, server = datetime.now(UTC), system.stack.postgresql
    running = await submit_all(client, orders(40, model="sim-slow-3000ms"))

    async with small_disk(server, "requests"):
        await asyncio.to_thread(fill, server, "requests")
        sent = await submit(client, orders(60, extra={"messages": LARGE}))
        refused = [one for one in sent if not one.is_accepted]
        await until(lambda: calls_since(system, since) >= len(running))
        await asyncio.to_thread(server.execute, "DROP TABLE filler", "requests")
        more = await submit_all(client, orders(40))
        await drained(system, 60)

    taken = len(running) + len(sent) - len(refused) + len(more)
    assert refused
    assert {one.status_code for one in refused} == {503}
    assert await stored_since(system, since) == taken
    await judge(since)


@asynccontextmanager
async def small_disk(server: PostgreSql, database: str) -> AsyncIterator[None]:
    """The database lies on a disk of its own, of SIZE (a tmpfs, which only root can mount)."""
    with folder_for_servers() as folder:
        place = folder / "disk"
        place.mkdir()
        mount("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place))
        try:
            places.own(place, server.account, 0o700)
            server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
            await asyncio.to_thread(move, server, database, "small")
            try:
                yield
            finally:
                await asyncio.to_thread(move, server, database, "pg_default")
                server.execute("DROP TABLESPACE small")
        finally:
            mount("umount", str(place))


def mount(*command: str) -> None:
    environment = {"PATH": f"{os.defpath}:/usr/sbin:/sbin"}
    run_once(Program(name=command[0], command=command, environment=environment))


def move(server: PostgreSql, database: str, place: str) -> None:
    """To another tablespace; nobody may be in the database meanwhile."""
    server.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    server.execute(
        f"""
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}';
        ALTER DATABASE {database} SET TABLESPACE {place};
        """  # noqa: S608  names of this module
    )
    server.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")


def fill(server: PostgreSql, database: str) -> None:
    """Until there is no room for one page more."""
    server.execute(
        "CREATE TABLE filler (junk text); ALTER TABLE filler ALTER junk SET STORAGE EXTERNAL",
        database,
    )
    for rows in (2_000, 200, 20, 1):
        while _has_taken(server, database, rows):
            pass


def _has_taken(server: PostgreSql, database: str, rows: int) -> bool:
    junk = "INSERT INTO filler SELECT repeat(md5(n::text), 250) FROM generate_series(1, {}) n"
    try:
        server.execute(junk.format(rows), database)
    except ProgramFailed as full:
        if "No space left" not in str(full):
            raise
        return False
    return True


@pytest.mark.fault(45)
async def test_hints_of_requests_that_an_older_backup_does_not_know_are_done_with_and_counted(
    system: System, client: CarefulClient, judge: Judge, tmp_path: Path
) -> None:
    server, backup = system.stack.postgresql, tmp_path / "backup"
    await drained(system, 30)
    await asyncio.to_thread(server.stop)
    copy(server.data, backup)
    await asyncio.to_thread(server.start)
    for name in EXECUTORS:
        await system.kill(name)
    hints = await submit_unknown(system)

    await system.kill("postgresql")
    shutil.rmtree(server.data)
    copy(backup, server.data)
    await system.start("postgresql")
    since = datetime.now(UTC)
    for name in EXECUTORS:
        await system.start(name)

    async def are_counted() -> bool:
        taken = [await asyncio.to_thread(system.metric, name, HINTS) for name in EXECUTORS]
        return sum(taken) == hints

    await until(are_counted)
    assert calls_since(system, since) == 0
    assert await depth(system) == 0
    for name in ("gateway", "gateway-2"):
        await until(lambda name=name: is_ready(system, name))  # type: ignore[misc]
    await submit_all(client, orders(40))
    await judge(since)


async def submit_unknown(system: System) -> int:
    """Requests that will never have been; how many hints there are of them."""
    async with CarefulClient(system.gateways, {"live": system.seeded.live_key}) as forgetful:
        for name in ("gateway", "gateway-2"):
            await until(lambda name=name: is_ready(system, name))  # type: ignore[misc]
        await submit_all(forgetful, orders(8))

    async def are_there() -> bool:
        return await depth(system) == 8

    await until(are_there)
    return await depth(system)


async def depth(system: System) -> int:
    """How many hints wait."""
    url = system.stack.rabbitmq.url
    return sum([await queues.depth(url, queue) for queue in (WORK_FIRST, WORK_REST)])


def copy(source: Path, target: Path) -> None:
    """With owners and modes."""
    run_once(
        Program(
            name="cp",
            command=("/bin/cp", "-a", str(source), str(target)),
            environment={"PATH": os.defpath},
        )
    )
