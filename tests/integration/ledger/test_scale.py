"""What a batch costs does not grow with what lies beside it.

Measured in shared buffers, which do not depend on the machine. A generic plan that was made while
`live` was empty, or a volatile clock beside an index, would show here by orders of magnitude.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from libs.ledger.accept import accept
from libs.ledger.claim import claim
from libs.ledger.connection import Connection
from libs.ledger.expire import expire
from libs.ledger.finish import finish
from libs.ledger.look import Question, look
from libs.ledger.orphans import CrashBackoff, close_orphans
from libs.ledger.rehint import rehint
from libs.ledger.release import release
from tests.support.buffers import MADE_EACH_TIME, MADE_ONCE, buffers, grown
from tests.support.ledgers import Bench, ending, submission

FEW, MANY = 1_000, 150_000
BATCH = 32

_FILL = """
INSERT INTO live (id, account_id, project_id, mode, state, endpoint, model, connection_id,
    created_at, updated_at, not_before, due_at, deadline, max_attempts, call_timeout,
    fails_on_unknown, body_expires_on)
SELECT 'rr_' || lpad(n::text, 26, '0'), 'acc_fill', 'prj_fill', 'live', 'queued', 'e', 'm', 'c',
    now(), now(), now(), now() + interval '1 day', now() + interval '1 day', 8, 600, false,
    current_date + 31
FROM generate_series($1::integer, $2::integer) n
"""


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
    costs["finish"] = await buffers(sql, lambda c: finish(c, [ending(one) for one in claims]))
    costs["rehint"] = await buffers(sql, rehint)
    costs["orphans"] = await buffers(sql, lambda c: close_orphans(c, CrashBackoff()))
    costs["expire"] = await buffers(sql, expire)
    costs["look"] = await buffers(sql, lambda c: look(c, questions))
    await sql.execute(MADE_EACH_TIME)
    costs["release"] = await buffers(sql, release)
    assert len(claims) == len(items)
    return costs


@pytest.mark.timeout(300)
async def test_a_batch_costs_the_same_beside_a_hundred_thousand_rows(ledger: Bench) -> None:
    sql = ledger.sql
    await sql.execute("SET jit = off")
    await sql.execute(
        "INSERT INTO project_counters VALUES ('prj_fill', 'live', 0, 0, false);"
        "INSERT INTO account_counters VALUES ('acc_fill', 'live', 0, current_date, 0)"
    )
    await one_of_each(sql, [submission(running_limit=99)])  # plans are made on empty tables
    await fill(sql, 1, FEW)
    few = await one_of_each(sql, [submission(running_limit=99) for _ in range(BATCH)])
    await fill(sql, FEW + 1, MANY)
    many = await one_of_each(sql, [submission(running_limit=99) for _ in range(BATCH)])

    assert grown(few, many) == set(), (few, many)


async def fill(sql: "asyncpg.Connection[asyncpg.Record]", first: int, last: int) -> None:
    await sql.execute(_FILL, first, last)
    await sql.execute(
        "UPDATE account_counters SET pending = $1 WHERE account_id = 'acc_fill'", last
    )
