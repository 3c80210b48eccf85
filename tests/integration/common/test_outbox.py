"""The outbox table, on a real PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text

from libs.common import outbox
from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.event import Event
from libs.common.database import Database
from libs.common.settings import Secret


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[Database]:
    async with Database(Secret(empty_database), application="test") as database:
        async with database.transaction() as tx:
            for statement in outbox.create_sql():
                await tx.execute(text(statement))
        yield database


async def rows(database: Database) -> list[tuple[str, bytes]]:
    async with database.transaction() as tx:
        columns = select(outbox.OUTBOX.c.routing_key, outbox.OUTBOX.c.body)
        return [(key, body) for key, body in await tx.execute(columns)]


async def test_an_event_is_kept_with_the_transaction_that_said_it(database: Database) -> None:
    async with database.transaction() as tx:
        await outbox.add(tx, AccountCreated(account_id="acc_1"))

    body = b'{"type":"account.created","account_id":"acc_1","plan":"operator"}'
    assert await rows(database) == [("account.created", body)]


async def test_an_event_is_gone_with_the_transaction_that_rolled_back(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as tx:
            await outbox.add(tx, AccountCreated(account_id="acc_1"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()

    assert await rows(database) == []


async def test_an_event_without_a_tag_of_its_own_is_refused(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(TypeError):
            await outbox.add(tx, Event())


async def test_ids_and_times_are_the_databases_own(database: Database) -> None:
    async with database.transaction() as tx:
        await outbox.add(tx, AccountCreated(account_id="acc_1"))
        await outbox.add(tx, AccountCreated(account_id="acc_2"))

    async with database.transaction() as tx:
        ids = (await tx.scalars(select(outbox.OUTBOX.c.id))).all()
        is_recent = await tx.scalar(
            text("SELECT bool_and(created_at > now() - interval '1 minute') FROM outbox")
        )
    assert list(ids) == [1, 2]
    assert is_recent
