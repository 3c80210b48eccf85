"""What a batch costs does not grow with what lies beside it.

Measured in shared buffers, which do not depend on the machine. A generic plan that was made while
a table was empty, or a volatile clock beside an index, would show here by orders of magnitude.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from bench.scale.fill import keep_plans, renew_plans
from libs.ledger.accept import Submission, accept
from libs.ledger.claim import claim
from libs.ledger.connection import Connection
from libs.ledger.expire import expire
from libs.ledger.finish import finish
from libs.ledger.look import Question, look
from libs.ledger.orphans import CrashBackoff, close_orphans
from libs.ledger.rehint import rehint
from libs.ledger.release import release
from tests.support.buffers import MADE_EACH_TIME, MADE_ONCE, buffers, grown
from tests.support.crowds import crowd, make_room
from tests.support.ledgers import Bench, ending, submission

FEW, MANY = 1_000, 150_000
BATCH = 32

# What is known of the tables when the plans are made, which stay for as long as nothing analyses a
# table: nothing (PostgreSQL takes ten pages for granted), that they are empty, that they are small.
UNKNOWN, EMPTY, SMALL = "of unknown size", "known to be empty", "known to be small"


async def one_of_each(
    sql: "asyncpg.Connection[asyncpg.Record]", items: Sequence[Any]
) -> dict[str, int]:
    """Each statement with the plans that its connections make (libs/ledger/ledger.py)."""
    await sql.execute(MADE_ONCE)
    costs = {"accept": await buffers(sql, lambda c: accept(c, items))}
    claims: list[Any] = []
    questions = [Question(item.project_id, item.mode, item.id) for item in items]

    async def take(connection: Connection) -> None:
        claims.extend(await claim(connection, "executor-1", [item.id for item in items]))

    costs["claim"] = await buffers(sql, take)
    costs["look at open ones"] = await buffers(sql, lambda c: look(c, questions, has_results=True))
    costs["finish"] = await buffers(sql, lambda c: finish(c, [ending(one) for one in claims]))
    costs["rehint"] = await buffers(sql, rehint)
    costs["orphans"] = await buffers(sql, lambda c: close_orphans(c, CrashBackoff()))
    costs["expire"] = await buffers(sql, expire)
    found: list[Any] = []

    async def see(connection: Connection) -> None:
        found.extend(await look(connection, questions, has_results=True))

    costs["look"] = await buffers(sql, see)
    await sql.execute(MADE_EACH_TIME)
    costs["release"] = await buffers(sql, release)
    assert [one.body for one in claims] == [item.body for item in items]
    assert [one.result for one in found] == [ending(one).result for one in claims]
    return costs


@pytest.mark.timeout(300)
@pytest.mark.parametrize("tables", [UNKNOWN, EMPTY, SMALL])
async def test_a_batch_costs_the_same_beside_a_hundred_thousand_rows(
    ledger: Bench, tables: str
) -> None:
    sql = ledger.sql
    await sql.execute("SET jit = off")
    await keep_plans(sql)
    await make_room(sql)
    if tables == SMALL:
        await ledger.finish(ending(await ledger.claimed()))
    if tables != UNKNOWN:
        await renew_plans(sql)
    await one_of_each(sql, batch(1))  # plans are made
    await crowd(sql, 1, FEW)
    few = await one_of_each(sql, batch(BATCH))
    await crowd(sql, FEW + 1, MANY)
    many = await one_of_each(sql, batch(BATCH))

    assert grown(few, many) == set(), (few, many)


def batch(size: int) -> list[Submission]:
    return [submission(running_limit=99) for _ in range(size)]
