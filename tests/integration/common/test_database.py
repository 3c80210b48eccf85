"""Sessions on a real PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from deploy.local.ports import free_ports
from deploy.local.servers.postgresql import PostgreSql
from libs.common.database import Bounds, Database, DatabaseAway, NotDurable
from libs.common.settings import Secret


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[Database]:
    async with Database(Secret(empty_database), application="test") as database:
        yield database


async def test_a_session_is_bounded_in_everything(database: Database) -> None:
    names = "application_name statement_timeout lock_timeout idle_in_transaction_session_timeout"
    async with database.transaction() as tx:
        shown = [await tx.scalar(text(f"SHOW {name}")) for name in names.split()]

    assert shown == ["test", "5s", "2s", "15s"]


async def test_the_block_is_the_transaction(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO t VALUES (2)"))
            raise RuntimeError

    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE t (n int)"))
        await tx.execute(text("INSERT INTO t VALUES (1)"))
    with pytest.raises(RuntimeError):
        await fail()

    async with database.transaction() as tx:
        assert (await tx.scalars(text("SELECT n FROM t"))).all() == [1]


async def test_a_statement_that_takes_too_long_is_ended(empty_database: str) -> None:
    bounds = Bounds(statement=timedelta(milliseconds=100))
    async with Database(Secret(empty_database), application="test", bounds=bounds) as database:
        with pytest.raises(DatabaseAway):
            async with database.transaction() as tx:
                await tx.execute(text("SELECT pg_sleep(30)"))


async def test_a_lock_that_somebody_holds_is_waited_for_and_then_later_is_said(
    empty_database: str, database: Database
) -> None:
    bounds = Bounds(lock=timedelta(milliseconds=100))
    lock = text("SELECT pg_advisory_xact_lock(7)")
    async with (
        Database(Secret(empty_database), application="other", bounds=bounds) as other,
        database.transaction() as tx,
    ):
        await tx.execute(lock)
        with pytest.raises(DatabaseAway):
            async with other.transaction() as waiting:
                await waiting.execute(lock)


async def test_an_error_does_not_quote_the_values(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(DBAPIError) as caught:
            await tx.execute(text("SELECT CAST(:v AS text) / 0"), {"v": "a customer's words"})

    assert "customer" not in str(caught.value)


@pytest.mark.fault(41)
async def test_connections_are_made_anew_after_the_server_ended_them(
    postgresql_server: PostgreSql, database: Database
) -> None:
    assert await database.is_ready()
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'"
    await asyncio.to_thread(postgresql_server.execute, ended)

    async with database.transaction() as tx:
        assert await tx.scalar(text("SELECT 1")) == 1


@pytest.mark.fault(42)
async def test_a_server_that_turned_read_only_is_left(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE t (n int)"))
        before = await tx.scalar(text("SELECT pg_backend_pid()"))
    async with database.transaction() as tx:
        await tx.execute(text("SET default_transaction_read_only = on"))
    with pytest.raises(DatabaseAway):
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO t VALUES (1)"))
    async with database.transaction() as tx:
        assert await tx.scalar(text("SELECT pg_backend_pid()")) != before
        await tx.execute(text("INSERT INTO t VALUES (1)"))


@pytest.mark.alone
async def test_a_server_that_is_not_there_is_not_ready_and_says_so_soon() -> None:
    url = Secret(f"postgresql://nobody:secret@127.0.0.1:{free_ports(1)}/nothing")
    async with Database(url, application="test") as database:
        began = time.monotonic()
        assert not await database.is_ready()
        assert time.monotonic() - began < 2


@pytest.mark.alone
async def test_a_frozen_server_is_not_ready_and_says_so_soon(
    postgresql_server: PostgreSql, database: Database
) -> None:
    assert await database.is_ready()
    postgresql_server.freeze()
    try:
        began = time.monotonic()
        assert not await database.is_ready()
        assert time.monotonic() - began < 2
    finally:
        postgresql_server.thaw()


async def test_a_durable_server_is_accepted(database: Database) -> None:
    await database.check_durability()


@pytest.mark.fault(43)
async def test_a_database_whose_commits_may_be_lost_is_refused(
    postgresql_server: PostgreSql, database: Database
) -> None:
    setting = f'ALTER DATABASE "{database.name}" SET synchronous_commit = off'
    await asyncio.to_thread(postgresql_server.execute, setting)

    with pytest.raises(NotDurable, match="synchronous_commit = off"):
        await database.check_durability()
