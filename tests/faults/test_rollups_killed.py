"""What has ended is counted once by hour and day, whenever the dispatcher dies that counts it."""

from typing import Any, Final

import asyncpg
import pytest

from tests.faults.conftest import Judge
from tests.support.checker_sources import ask
from tests.support.client import CarefulClient
from tests.support.crash_trial import Death, die_under_load
from tests.support.stack import System
from tests.support.waiting import until

DEATHS: Final = tuple(
    Death(point, nth)
    for nth in (1, 3, 5)
    for point in ("roll_up.before_commit", "roll_up.after_commit")
)

UNCOUNTED: Final = "SELECT id FROM uncounted_v1(1)"
# Both sides as of the same snapshot, by who they are about and when they ended.
_ENDED: Final = """
SELECT f.project_id, f.mode, date_trunc($1, f.finished_at, 'UTC') AS starts_at,
    count(*) FILTER (WHERE f.state = 'completed') AS completed,
    count(*) FILTER (WHERE f.state = 'failed') AS failed,
    count(*) FILTER (WHERE f.state = 'cancelled') AS cancelled,
    sum(f.attempts) AS attempts, sum(f.prompt_tokens) AS prompt_tokens,
    sum(f.completion_tokens) AS completion_tokens
FROM results f GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_COUNTED: Final = """
SELECT project_id, mode, starts_at, completed, failed, cancelled, attempts, prompt_tokens,
    completion_tokens
FROM rollups WHERE step = $1 ORDER BY 1, 2, 3
"""
_ENDED_BY_MODEL: Final = """
SELECT f.project_id, f.mode, f.model, count(*) AS requests FROM results f
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_COUNTED_BY_MODEL: Final = """
SELECT project_id, mode, model, sum(requests)::bigint AS requests FROM model_rollups
WHERE step = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


async def assert_counted_once(url: str) -> None:
    """By hour and by day, all that has ended since the system began."""
    sql = await asyncpg.connect(url)
    try:
        async with sql.transaction(isolation="repeatable_read"):
            for step in ("hour", "day"):
                assert await rows(sql, _COUNTED, step) == await rows(sql, _ENDED, step)
                by_model = await rows(sql, _COUNTED_BY_MODEL, step)
                assert by_model == await rows(sql, _ENDED_BY_MODEL)
    finally:
        await sql.close()


async def rows(
    sql: "asyncpg.Connection[asyncpg.Record]", question: str, *values: object
) -> list[dict[str, Any]]:
    return [dict(row) for row in await sql.fetch(question, *values)]


@pytest.mark.slow
@pytest.mark.fault(91)
@pytest.mark.timeout(300)
async def test_a_dispatcher_that_dies_while_it_counts_counts_nothing_twice_and_leaves_nothing_out(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    url = system.database_url("requests")

    async def is_all_counted() -> bool:
        return not await ask(url, UNCOUNTED)

    story = await die_under_load(system, client, [{"dispatcher": DEATHS}])
    await judge(story.began_at, inflicted=story.inflicted)
    await until(is_all_counted)

    assert len({sent.request_id for sent in client.sent if sent.is_accepted}) == story.orders
    await assert_counted_once(url)
