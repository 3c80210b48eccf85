"""Connections to the ledger are lent whole, to so many at once, and never two of them the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from libs.ledger import sessions
from libs.ledger.connection import Connection, Database, LedgerAway, Options
from tests.support.ledgers import Bench
from tests.support.waiting import until

_MOST = 2
_PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def database(ledger: Bench) -> AsyncIterator[Database]:
    options = Options(_MOST, timedelta(seconds=60))
    lent = Database(ledger.url, options, name="lending")
    yield lent
    await lent.close()


async def test_one_after_the_other_uses_the_same_one(database: Database) -> None:
    assert await pid(database) == await pid(database)


async def test_who_comes_while_others_have_them_all_waits_for_one(database: Database) -> None:
    pids = await asyncio.gather(*(database.run(slow) for _ in range(6)))

    assert len(set(pids)) == _MOST


async def test_who_waits_too_long_is_told_so(
    database: Database, ledger: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "WAIT", timedelta(milliseconds=50))
    async with locked(ledger):
        waiting = [asyncio.create_task(database.run(lock_too)) for _ in range(_MOST)]
        await until(lambda: are_waiting(ledger, _MOST))

        with pytest.raises(LedgerAway):
            await pid(database)
    await asyncio.gather(*waiting)
    await pid(database)


async def test_what_somebody_left_in_the_middle_is_lent_to_nobody(
    database: Database, ledger: Bench
) -> None:
    first = await pid(database)
    async with locked(ledger):
        left = asyncio.create_task(database.run(lock_too))
        await until(lambda: are_waiting(ledger, 1))
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left

        assert await pid(database) != first


async def test_what_the_server_ended_is_opened_anew(database: Database, ledger: Bench) -> None:
    first = await pid(database)
    await ledger.sql.execute("SELECT pg_terminate_backend($1)", first)

    [idle] = database._sessions._idle  # noqa: SLF001  # nothing else shows that the news has come
    await until(idle.is_closed)

    assert await pid(database) != first


async def test_a_refused_statement_keeps_its_connection(database: Database) -> None:
    first = await pid(database)
    with pytest.raises(Exception, match="store cannot"):
        await database.run(lambda connection: connection.execute("SELECT 1 / 0"))

    assert await pid(database) == first


async def test_nothing_is_open_after_the_close(database: Database, ledger: Bench) -> None:
    await asyncio.gather(*(database.run(slow) for _ in range(_MOST)))

    await database.close()

    await until(lambda: are_open(ledger, 0))


async def test_the_close_ends_what_does_not_come_back(
    database: Database, ledger: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.ledger.connection.CONNECT_TIMEOUT", timedelta(milliseconds=50))
    async with locked(ledger):
        stuck = asyncio.create_task(database.run(lock_too))
        await until(lambda: are_waiting(ledger, 1))

        await database.close()

        async with asyncio.timeout(10):  # a third of what the server would wait for the lock
            with pytest.raises(LedgerAway):
                await stuck


async def pid(database: Database) -> int:
    value: int = await database.run(lambda connection: connection.fetchval(_PID))
    return value


async def slow(connection: Connection) -> int:
    value: int = await connection.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.05)")
    return value


@asynccontextmanager
async def locked(ledger: Bench) -> AsyncIterator[None]:
    """A table that nobody else may read."""
    session = await asyncpg.connect(ledger.url)
    try:
        async with session.transaction():
            await session.execute("LOCK TABLE cooldowns")
            yield
    finally:
        await session.close()


async def lock_too(connection: Connection) -> None:
    await connection.execute("SELECT FROM cooldowns")


async def are_waiting(ledger: Bench, count: int) -> bool:
    return await _count(ledger, "Lock") == count


async def are_open(ledger: Bench, count: int) -> bool:
    return await _count(ledger, "") == count


async def _count(ledger: Bench, waits_for: str) -> int:
    value: int = await ledger.sql.fetchval(
        """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'lending'
            AND ($1 = '' OR wait_event_type = $1)
        """,
        waits_for,
    )
    return value
