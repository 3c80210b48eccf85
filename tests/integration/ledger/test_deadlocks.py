"""Who is told by the server to try again does so; nobody else hears of it."""

import asyncio

import pytest

from libs.ledger.connection import Connection
from tests.support.ledgers import Bench

_LOCK = "SELECT FROM live WHERE id = $1 FOR UPDATE"


@pytest.mark.fault(38)
async def test_of_two_that_lock_crosswise_one_runs_again_and_both_succeed(ledger: Bench) -> None:
    ids = await ledger.fill_accepted(2)
    both_hold_one = asyncio.Barrier(2)
    tries: list[str] = []

    async def lock(first: str, second: str) -> None:
        async def work(connection: Connection) -> None:
            tries.append(first)
            async with connection.transaction():
                await connection.execute(_LOCK, first)
                if len(tries) <= 2:
                    await both_hold_one.wait()
                await connection.execute(_LOCK, second)

        await ledger.executor.database.run(work)

    await asyncio.gather(lock(*ids), lock(*reversed(ids)))

    assert len(tries) == 3


@pytest.mark.fault(38)
async def test_a_serialization_failure_is_tried_again(ledger: Bench) -> None:
    tries: list[str] = []

    async def work(connection: Connection) -> str:
        tries.append("SELECT 1" if len(tries) == 2 else "DO $$BEGIN RAISE SQLSTATE '40001'; END$$")
        return await connection.execute(tries[-1])

    assert await ledger.executor.database.run(work) == "SELECT 1"
    assert len(tries) == 3
