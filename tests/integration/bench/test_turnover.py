"""The soak's faster calendar: what it ages is purged, what it takes away is made again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from bench.soak.turnover import Turned, Turnover
from libs.ledger.purge import Purged
from tests.support.ledgers import Bench, bench, ending

ACCEPT_SECONDS = 1.0  # accepts give up on a lock after so long


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(ledger_url) as hands:
        await hands.dispatcher.make_partitions()
        await hands.dispatcher.purge()
        yield hands


async def complete(ledger: Bench, count: int) -> list[str]:
    claims = [await ledger.claimed(running_limit=99) for _ in range(count)]
    for claim in claims:
        await ledger.finish(ending(claim))
    return [claim.request_id for claim in claims]


async def bodies_of(ledger: Bench, ids: list[str]) -> int:
    rows = await ledger.sql.fetch("SELECT 1 FROM bodies WHERE request_id = ANY($1)", ids)
    return len(rows)


async def test_a_day_passes_and_the_dispatcher_does_the_rest(ledger: Bench) -> None:
    turnover = Turnover(ledger.sql, owner="postgres")
    ended = await complete(ledger, 3)
    running = await ledger.claimed(running_limit=99)

    await turnover.step()

    assert await turnover.turned() == Turned(aged=3, offered=2, dropped=0, taken=2, remade=0)
    assert await bodies_of(ledger, ended) == 6

    assert await ledger.dispatcher.purge() == Purged(partitions=2)
    assert await ledger.dispatcher.make_partitions() == 2

    assert await turnover.turned() == Turned(aged=3, offered=2, dropped=2, taken=2, remade=2)
    assert await bodies_of(ledger, ended) == 0
    assert await bodies_of(ledger, [running.request_id]) == 1


async def test_each_request_is_aged_once_and_each_day_is_another(ledger: Bench) -> None:
    turnover = Turnover(ledger.sql, owner="postgres")
    await complete(ledger, 2)
    await turnover.step()
    await complete(ledger, 1)
    await turnover.step()
    await turnover.step()

    assert await turnover.turned() == Turned(aged=3, offered=4, dropped=0, taken=2, remade=0)
    assert (await ledger.dispatcher.purge()).partitions == 4


async def test_a_table_that_is_held_keeps_no_accept_waiting(ledger: Bench) -> None:
    turnover = Turnover(ledger.sql, owner="postgres")
    await complete(ledger, 1)
    other = await asyncpg.connect(ledger.url)
    loop = asyncio.get_running_loop()
    transaction = other.transaction()
    await transaction.start()
    await other.execute("LOCK TABLE bodies, body_keys IN ROW EXCLUSIVE MODE")
    turning = asyncio.create_task(turnover.step())
    longest = timedelta()
    while not turning.done():
        began_at = loop.time()
        await ledger.accept(running_limit=99)
        longest = max(longest, timedelta(seconds=loop.time() - began_at))
    await turning
    await transaction.rollback()
    await other.close()

    assert longest < timedelta(seconds=ACCEPT_SECONDS)
    assert await turnover.turned() == Turned()

    await turnover.step()
    assert (await turnover.turned()).aged == 1
