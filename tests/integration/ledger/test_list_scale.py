"""What a page of a list costs does not grow with what lies beside it, whatever it filters by.

Measured in shared buffers. The data is what misleads a planner: one project has most of the rows
but none of the new ones, the state asked for is rare and old, and so is the model.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.common.ids import lowest_id
from libs.ledger.list_requests import ListQuestion, list_requests
from libs.ledger.states import State
from tests.support.buffers import MADE_EACH_TIME, buffers, grown
from tests.support.ledgers import Bench

FEW, MANY = 5_000, 60_000
OPEN = 300  # of `prj_new`; a rare model among them is looked for one by one
START = datetime(2026, 1, 1, tzinfo=UTC)
RARE = 50  # the oldest of `prj_old`: failed, of a rare model

# Second after second: first everything of `prj_old`, then as much of `prj_new`.
_REQUESTS = """
INSERT INTO requests (id, account_id, project_id, key_id, mode, endpoint, model, created_at,
    body_expires_on)
SELECT i.id, 'acc', CASE WHEN n <= $2 THEN 'prj_old' ELSE 'prj_new' END,
    'key', 'live', 'e', CASE WHEN n <= $3 THEN 'rare' ELSE 'common' END,
    $4::timestamptz + n * interval '1 s', '2026-03-01'
FROM unnest($1::text[]) WITH ORDINALITY AS i (id, n)
"""
_RESULTS = """
INSERT INTO results (request_id, account_id, project_id, mode, model, state, attempts, finished_at,
    body_expires_on)
SELECT id, account_id, project_id, mode, model,
    CASE WHEN model = 'rare' THEN 'failed' ELSE 'completed' END, 1, created_at, body_expires_on
FROM requests WHERE id NOT IN (SELECT id FROM live)
"""
_LIVE = """
INSERT INTO live (id, account_id, project_id, mode, state, endpoint, model, connection_id,
    created_at, updated_at, not_before, due_at, deadline, max_attempts, call_timeout,
    fails_on_unknown, body_expires_on)
SELECT id, account_id, project_id, mode, 'queued', endpoint, model, 'c', created_at, created_at,
    created_at, created_at, created_at, 8, 600, false, body_expires_on
FROM requests WHERE project_id = 'prj_new' ORDER BY id DESC LIMIT $1
"""


# Every second one waits for its next attempt, in an order that is not that of their ids; they are
# looked at again at their deadline, as all that waits.
_WAITING = """
UPDATE live SET state = CASE WHEN n % 2 = 0 THEN 'queued' ELSE 'retrying' END,
    not_before = created_at + interval '1 s' * (n * 7919 % 10007), due_at = now() + interval '1 day'
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM live) l WHERE l.id = live.id
"""


def identity(second: int) -> str:
    return lowest_id("rr", START + timedelta(seconds=second)) + "0" * 16


FILTERS: dict[str, dict[str, Any]] = {
    "everything": {},
    "a rare state": {"states": frozenset({State.FAILED})},
    "a common state": {"states": frozenset({State.COMPLETED})},
    "no such state": {"states": frozenset({State.CANCELLED})},
    "open": {"states": frozenset({State.QUEUED, State.RETRYING, State.PROCESSING})},
    "most states": {"states": frozenset(State) - {State.QUEUED}},
    "a rare model": {"model": "rare"},
    "a common model": {"model": "common"},
    "no such model": {"model": "none"},
    "a model and a state": {"model": "common", "states": frozenset({State.FAILED})},
    "a minute": {"created_after": START, "created_before": START + timedelta(seconds=60)},
    "a minute of a state": {
        "states": frozenset({State.COMPLETED}),
        "created_after": START + timedelta(seconds=100),
        "created_before": START + timedelta(seconds=200),
    },
    "the last page": {"before_id": identity(RARE)},
}


async def pages(sql: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    costs: dict[str, int] = {}
    await sql.execute(MADE_EACH_TIME)
    for project in ("prj_old", "prj_new", "prj_none"):
        for name, filters in FILTERS.items():
            question = ListQuestion(project_id=project, mode="live", **filters)
            costs[f"{project}: {name}"] = await buffers(
                sql,
                lambda c, q=question: list_requests(c, q),  # type: ignore[misc]
            )
    return costs


async def fill(sql: "asyncpg.Connection[asyncpg.Record]", count: int) -> None:
    await sql.execute("TRUNCATE requests, results, live")
    ids = [identity(number) for number in range(1, 2 * count + 1)]
    await sql.execute(_REQUESTS, ids, count, RARE, START)
    await sql.execute(_LIVE, OPEN)
    await sql.execute(_RESULTS)
    # Vacuumed too: whether autovacuum came by decides what a scan of an index costs.
    await sql.execute("VACUUM ANALYZE requests, results, live")


@pytest.mark.timeout(300)
async def test_a_page_costs_the_same_beside_many_rows(ledger: Bench) -> None:
    sql = ledger.sql
    await sql.execute("SET jit = off")
    await fill(sql, FEW)
    await pages(sql)  # the catalogue's pages are read once
    few = await pages(sql)
    await fill(sql, MANY)
    await pages(sql)
    many = await pages(sql)
    await sql.execute("TRUNCATE live")

    assert grown(few, many) == set(), (few, many)


FEW_WAIT, MANY_WAIT = 2_000, 20_000
IDS = [identity(number) for number in range(1, 2 * MANY_WAIT + 1)]
WAITING: dict[str, dict[str, Any]] = {
    "queued": {"states": frozenset({State.QUEUED})},
    "retrying": {"states": frozenset({State.RETRYING})},
    "open": {"states": frozenset({State.QUEUED, State.RETRYING, State.PROCESSING})},
    "a model": {"model": "common", "states": frozenset({State.RETRYING})},
    "a minute": {
        "states": frozenset({State.QUEUED}),
        "created_after": START + timedelta(seconds=2 * MANY_WAIT - 100),
        "created_before": START + timedelta(seconds=2 * MANY_WAIT - 40),
    },
}


async def waiting_pages(ledger: Bench, count: int) -> dict[str, int]:
    """What lists of open requests touch where so many wait."""
    sql = ledger.sql
    await sql.execute("TRUNCATE requests, results, live")
    await sql.execute(_REQUESTS, IDS, MANY_WAIT, RARE, START)
    await sql.execute(_LIVE, count)
    await sql.execute(_WAITING)
    await sql.execute("VACUUM ANALYZE requests, live")
    costs: dict[str, int] = {}
    await sql.execute(MADE_EACH_TIME)
    for name, filters in WAITING.items():
        question = ListQuestion(project_id="prj_new", mode="live", **filters)
        for _ in range(2):  # the catalogue's pages are read once
            costs[name] = await buffers(sql, lambda c, q=question: list_requests(c, q))  # type: ignore[misc]
    await sql.execute("TRUNCATE live")
    return costs


async def test_a_page_of_what_waits_costs_the_same_however_much_waits(ledger: Bench) -> None:
    few = await waiting_pages(ledger, FEW_WAIT)
    many = await waiting_pages(ledger, MANY_WAIT)

    assert grown(few, many) == set(), (few, many)
