"""What the dashboard asks, and counting for it, costs the same beside few rows and many.

Measured in shared buffers. One project has nearly all there is, and the others little.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest

from bench.scale.fill import renew_plans
from libs.ledger.accept import Idempotency
from libs.ledger.counters import read_counters
from libs.ledger.list_requests import ListQuestion, list_requests
from libs.ledger.look import Question
from libs.ledger.reveal import reveal
from libs.ledger.show import show
from libs.ledger.stats import Stats, StatsLimits, StatsRange, read_stats
from tests.support.buffers import MADE_EACH_TIME, buffers, grown
from tests.support.crowds import crowd, make_room
from tests.support.ledgers import Bench, ending

FEW, MANY = 1_000, 100_000
HOUR = timedelta(hours=1)
BATCH = 16
OPEN_COUNTED = 100

# Of every other project, hour by hour: what lies beside in the roll-ups.
_ROLLED_UP = """
INSERT INTO rollups
SELECT 'prj_' || n % 100, 'live', 'hour', date_trunc('hour', now(), 'UTC') - n * interval '1 h',
    1, 1, 1, 1, 1, 1, 1, 1, 1, array_fill(1, ARRAY[120])
FROM generate_series($1::integer, $2::integer) n
"""
_BY_MODEL = """
INSERT INTO model_rollups
SELECT 'prj_' || n % 100, 'live', 'hour', date_trunc('hour', now(), 'UTC') - n * interval '1 h',
    'm', 1, 1, 1
FROM generate_series($1::integer, $2::integer) n
"""
# All told and counted long ago, but for one in a thousand that was never committed.
_TOLD = """
INSERT INTO outbox (routing_key, body, sent_at)
SELECT 'requests.finished', '{"requests":[]}', now()
FROM generate_series($1::integer, $2::integer)
"""
_ALL_COUNTED = """
UPDATE rollup_progress SET floor = (SELECT max(id) + 1 FROM outbox),
    seen = (SELECT max(id) FROM outbox), taken = '{}', settling = NULL
"""


class Costs:
    """What each question touched."""

    def __init__(self, ledger: Bench) -> None:
        self.ledger, self.touched = ledger, dict[str, int]()

    async def of(self, name: str, work: Any) -> Any:
        answers = []

        async def ask(connection: Any) -> None:
            answers.append(await work(connection))

        self.touched[name] = await buffers(self.ledger.sql, ask)
        return answers[0]


async def one_of_each(ledger: Bench) -> dict[str, int]:
    costs = Costs(ledger)
    await ledger.sql.execute(MADE_EACH_TIME)
    ids = await ledger.fill_accepted(BATCH, running_limit=10_000)
    claims = await ledger.claim(*ids)
    for claim in claims:
        await ledger.finish(ending(claim))
    key = Idempotency(f"key-{ids[0]}", b"f")
    claim = await ledger.claimed(running_limit=10_000, idempotency=key)
    await count_all(costs)
    await ask_all(costs, claim.request_id, key.key)
    await ledger.finish(ending(claim))
    await ledger.dispatcher.roll_up()
    return costs.touched


async def count_all(costs: Costs) -> None:
    counted = await costs.of("roll up", lambda c: c.fetchval("SELECT roll_up_v1(128)"))
    assert counted == BATCH
    for _ in range(3):
        await costs.ledger.dispatcher.roll_up()
    assert await costs.of("empty poll", lambda c: c.fetchval("SELECT roll_up_v1(128)")) == 0


async def ask_all(costs: Costs, request_id: str, key: str) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + HOUR
    of = StatsRange(project_id="prj_a", mode="live", step="hour", low=now - 48 * HOUR, high=now)
    found: Stats = await costs.of(
        "stats", lambda c: read_stats(c, of, StatsLimits(20, OPEN_COUNTED))
    )
    assert sum(step.completed for step in found.steps) > 0
    crowded = StatsRange(project_id="prj_fill", mode="live", step="hour", low=of.low, high=now)
    open_now: Stats = await costs.of(
        "stats of many open", lambda c: read_stats(c, crowded, StatsLimits(20, OPEN_COUNTED))
    )
    assert [one.n for one in open_now.open] == [OPEN_COUNTED]
    assert await costs.of("show", lambda c: show(c, "prj_a", request_id)) is not None
    question = Question("prj_a", "live", request_id)
    assert await costs.of("reveal", lambda c: reveal(c, question)) is not None
    assert (await costs.of("counters", lambda c: read_counters(c, "acc_a", 1))).pending == 1
    by_key = ListQuestion(project_id="prj_a", mode="live", idempotency_key=key)
    [listed] = await costs.of("list by key", partial(list_requests, question=by_key))
    assert listed.id == request_id


async def fill(sql: "asyncpg.Connection[asyncpg.Record]", first: int, last: int) -> None:
    await crowd(sql, first, last)
    for statement in (_ROLLED_UP, _BY_MODEL, _TOLD):
        await sql.execute(statement, first, last)
    await sql.execute(_ALL_COUNTED)
    await renew_plans(sql)


@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_the_dashboards_questions_cost_the_same_beside_a_hundred_thousand_rows(
    ledger: Bench,
) -> None:
    sql = ledger.sql
    await sql.execute("SET jit = off")
    await make_room(sql)
    await ledger.finish(ending(await ledger.claimed()))
    await fill(sql, 1, FEW)
    await one_of_each(ledger)
    few = await one_of_each(ledger)
    await fill(sql, FEW + 1, MANY)
    many = await one_of_each(ledger)

    assert grown(few, many) == set(), (few, many)
