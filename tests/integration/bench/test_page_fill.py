"""Generated requests are what the product leaves: counters, roll-ups and content are right."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from bench.pages.content import fill_content
from bench.pages.fill import RUNNING, Owner, fill
from libs.common.content import DataKey, new_data_key
from libs.ledger.list_requests import ListQuestion
from libs.ledger.look import Question
from libs.ledger.states import State
from libs.ledger.upkeep import Drift
from tests.support.ledgers import Bench, bench, ending

ENDED, OPENED = 1_000, 700

_COUNTED = "SELECT sum(completed + failed + cancelled)::integer FROM rollups WHERE step = 'day'"
_RESULTS = "SELECT count(*)::integer FROM results WHERE account_id = 'acc_a'"
_ACCEPTED = "SELECT pending, accepted FROM account_counters WHERE account_id = 'acc_a'"


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(ledger_url) as hands:
        yield hands


async def test_generated_requests_are_as_the_product_leaves_them(ledger: Bench) -> None:
    await ledger.finish(ending(await ledger.claimed()))
    await ledger.dispatcher.roll_up()
    key, sql = DataKey(new_data_key()), await asyncpg.connect(ledger.url)
    try:
        await fill(sql, Owner("acc_a", "prj_a"), ENDED, OPENED)
        await fill_content(sql, key, "prj_a")
    finally:
        await sql.close()

    assert await ledger.dispatcher.measure_drift() == Drift(0, 0, 0)
    results = await ledger.sql.fetchval(_RESULTS)
    assert results == await ledger.sql.fetchval(_COUNTED) == ENDED + 1
    [row] = await ledger.sql.fetch(_ACCEPTED)
    assert row["pending"] == OPENED
    assert OPENED < row["accepted"] <= ENDED + OPENED + 1
    question = ListQuestion(
        project_id="prj_a", mode="live", states=frozenset({State.PROCESSING}), limit=RUNNING + 1
    )
    running = await ledger.gateway.list_requests(question)
    assert len(running) == RUNNING
    revealed = await ledger.gateway.reveal(Question("prj_a", "live", running[0].id))
    assert revealed is not None
    [request, result] = revealed.bodies
    seal = key.of(running[0].id, request.body_key)
    assert seal.open(request.content, "request").startswith(b'{"model"')
    assert seal.open(result.content, "result").startswith(b'{"id"')
