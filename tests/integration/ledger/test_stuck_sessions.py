"""A session that locks one row and does not end holds up nobody but that row."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from libs.ledger.connection import LedgerAway
from libs.ledger.renew import Lease
from tests.support.ledgers import Bench, ending, retry
from tests.support.waiting import until

OTHERS = 20
_WAITING = """
SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@asynccontextmanager
async def stuck(url: str, request_id: str) -> AsyncIterator[None]:
    """Somebody's transaction has the row locked."""
    session = await asyncpg.connect(url)
    try:
        await session.execute("BEGIN")
        await session.execute("SELECT FROM live WHERE id = $1 FOR UPDATE", request_id)
        yield
        await session.execute("ROLLBACK")
    finally:
        await session.close()


@pytest.mark.fault(39)
async def test_the_leases_of_all_others_are_renewed(ledger: Bench) -> None:
    ids = await ledger.fill_accepted(1 + OTHERS, running_limit=100)
    claims = await ledger.claim(*ids)
    for one in ids:
        await ledger.shift(one, 10)

    async with stuck(ledger.url, ids[0]):
        with pytest.raises(LedgerAway):
            await ledger.executor.renew([Lease(one.request_id, one.fence) for one in claims])
        left = {one: (await ledger.live(one) or {})["lease"] for one in ids}

    assert left.pop(ids[0]) < 10
    assert min(left.values()) > 10


@pytest.mark.fault(39)
async def test_the_answers_of_all_others_are_written_and_its_own_when_it_is_free(
    ledger: Bench,
) -> None:
    ids = await ledger.fill_accepted(1 + OTHERS, running_limit=100)
    claims = await ledger.claim(*ids)

    async with stuck(ledger.url, ids[0]):
        endings = (ledger.finish(ending(one)) for one in claims)
        written = await asyncio.gather(*endings, return_exceptions=True)
        assert await ledger.count("live") == 1

    away = [one for one in written if isinstance(one, LedgerAway)]
    assert len(away) == 1
    [held] = (one for one in claims if one.request_id == ids[0])
    last = await ledger.finish(ending(held))
    assert last is not None
    assert last.is_final


@pytest.mark.fault(39)
async def test_a_row_that_is_locked_for_a_moment_is_finished_after_it(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    async with stuck(ledger.url, claimed.request_id):
        finishing = asyncio.create_task(ledger.finish(retry(claimed)))
        await until(lambda: is_waiting(ledger), 10)

    finished = await finishing
    assert finished is not None
    assert not finished.is_final


async def is_waiting(ledger: Bench) -> bool:
    """Whether anybody waits for a lock."""
    return bool(await ledger.peek(_WAITING))
