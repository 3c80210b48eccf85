"""List: a project's requests, newest first, a page at a time.

Ids sort by creation, so an id is the cursor and a range of time is a range of ids. Each kind of
filter walks one index backwards and stops after a page. One statement means one snapshot: a request
that moves meanwhile is listed once.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from libs.common.ids import lowest_id
from libs.ledger.connection import Connection
from libs.ledger.pause import HELD, LISTED
from libs.ledger.states import FINAL, State

# An id is minted by the gateway's clock just before `created_at` is taken from the database's.
_SLACK: Final = timedelta(minutes=1)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_LAST: Final = "rr_~"  # sorts after every id

_ROWS: Final = """
SELECT r.id, r.endpoint, r.model, r.created_at, r.retried_from, r.idempotency_key, r.erased_at,
    r.body_expires_on, f.finished_at, l.not_before, coalesce(f.state, l.state) AS state,
    coalesce(f.attempts, l.attempts) AS attempts,
    coalesce(f.finished_at, l.updated_at) AS updated_at,
    CASE WHEN f.request_id IS NULL THEN l.last_error_code ELSE f.last_error_code
        END AS last_error_code
FROM page p JOIN requests r ON r.id = p.id
LEFT JOIN live l ON l.id = p.id
LEFT JOIN results f ON f.request_id = p.id
ORDER BY p.id DESC
"""


def _walk(table: str, column: str, more: str = "") -> str:
    """A page of one index, backwards: (project_id, mode, whatever `more` compares, `column`).

    The project is asked for as an array of one, and ordered by: so no other index has the order
    that is asked for, and no plan walks the ids of all projects in the hope of meeting this one's.
    """
    return f"""
        WHERE {table}.project_id = ANY($1) AND {table}.mode = $2
            AND {table}.{column} > $3 AND {table}.{column} < $4
            AND ($5::timestamptz IS NULL OR r.created_at >= $5)
            AND ($6::timestamptz IS NULL OR r.created_at < $6) {more}
        ORDER BY {table}.project_id DESC, {table}.{column} DESC LIMIT $7
    """


def _by_state(ended: str, opened: str) -> str:
    """Each newest first. What holds a slot is sorted: limits of running requests bound it."""
    return f"""
WITH page AS MATERIALIZED (
    SELECT id FROM (
        SELECT n.id FROM unnest($8::text[]) AS s (state) CROSS JOIN LATERAL (
            SELECT r.id FROM results f JOIN requests r ON r.id = f.request_id {ended}
        ) n
        UNION ALL
        SELECT n.id FROM unnest($9::text[]) AS s (state) CROSS JOIN LATERAL (
            SELECT r.id FROM live r
            {_walk("r", "id", f"AND {LISTED} AND r.state = s.state {opened}")}
        ) n
        UNION ALL
        (SELECT r.id FROM live r {_walk("r", "id", f"AND {HELD} AND r.state = ANY($9) {opened}")})
    ) AS found (id)
    ORDER BY id DESC LIMIT $7
)
"""


_BY_ID: Final = (
    "WITH page AS MATERIALIZED (SELECT r.id FROM requests r" + _walk("r", "id") + ")" + _ROWS
)
_BY_STATE: Final = (
    _by_state(
        _walk("f", "request_id", "AND f.state = s.state"),
        "",
    )
    + _ROWS
)
_BY_MODEL: Final = (
    _by_state(
        _walk("f", "request_id", "AND f.state = s.state AND f.model = $10"),
        "AND r.model = $10",
    )
    + _ROWS
)
# What a key leads to, and whose retry that is: a handful. A key is unique for a time only, so older
# requests may have had it too; to find those would take an index, which every accept would pay for.
_BY_KEY: Final = (
    """
WITH RECURSIVE chain AS (
    SELECT k.request_id AS id FROM idempotency_keys k
    WHERE k.project_id = $1 AND k.mode = $2 AND k.key = $3
    UNION
    SELECT r.retried_from FROM chain c JOIN requests r ON r.id = c.id
    WHERE r.retried_from IS NOT NULL
), page AS MATERIALIZED (
    SELECT r.id FROM chain c JOIN requests r ON r.id = c.id
    LEFT JOIN live l ON l.id = r.id LEFT JOIN results f ON f.request_id = r.id
    WHERE r.id < $4 AND coalesce(f.state, l.state) = ANY($5)
        AND r.created_at >= coalesce($6::timestamptz, '-infinity')
        AND r.created_at < coalesce($7::timestamptz, 'infinity')
        AND r.model = coalesce($8, r.model)
    ORDER BY r.id DESC LIMIT $9
)
"""
    + _ROWS
)


class ListQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests of one project and mode; a filter that is None lets everything through.

    `created_after` is included, `created_before` is not. `idempotency_key`: what it leads to now,
    and what that repeats. `before_id`: the last id of the page before. `limit`: to know whether
    there is another page, ask for one row more than is shown.
    """

    project_id: str
    mode: str
    states: frozenset[State] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    model: str | None = None
    idempotency_key: str | None = None
    before_id: str | None = None
    limit: int = 20


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One request in a list. `body_expires_on`: the day (UTC) from which its bodies are gone.

    `finished_at`: of an ended one; `not_before`: of an open one, for its next attempt.
    """

    id: str
    state: State
    endpoint: str
    model: str
    attempts: int
    created_at: datetime
    updated_at: datetime
    last_error_code: str | None
    retried_from: str | None
    idempotency_key: str | None
    erased_at: datetime | None
    body_expires_on: date
    finished_at: datetime | None
    not_before: datetime | None


async def list_requests(connection: Connection, question: ListQuestion) -> list[Listed]:
    """A page, newest first; to be planned each time (libs/ledger/connection.py)."""
    return [_listed(row) for row in await _fetch(connection, question)]


async def _fetch(connection: Connection, question: ListQuestion) -> Sequence[asyncpg.Record]:
    low, high = _ids(question)
    times = (question.created_after, question.created_before)
    base = ([question.project_id], question.mode, low, high, *times, question.limit)
    if question.idempotency_key is not None:
        return await _fetch_by_key(connection, question)
    if question.states is None and question.model is None:
        return await connection.fetch(_BY_ID, *base)
    states = frozenset(State) if question.states is None else question.states
    split = ([*(states & FINAL)], [*(states - FINAL)])
    if question.model is None:
        return await connection.fetch(_BY_STATE, *base, *split)
    return await connection.fetch(_BY_MODEL, *base, *split, question.model)


async def _fetch_by_key(connection: Connection, question: ListQuestion) -> Sequence[asyncpg.Record]:
    states = frozenset(State) if question.states is None else question.states
    return await connection.fetch(
        _BY_KEY,
        question.project_id,
        question.mode,
        question.idempotency_key,
        question.before_id or _LAST,
        [*states],
        question.created_after,
        question.created_before,
        question.model,
        question.limit,
    )


def _ids(question: ListQuestion) -> tuple[str, str]:
    """The ids between which all are, both outside."""
    low, high = "", question.before_id or _LAST
    if question.created_after is not None:
        low = lowest_id("rr", _clamped(question.created_after) - _SLACK)
    if question.created_before is not None:
        high = min(high, lowest_id("rr", _clamped(question.created_before) + _SLACK))
    return low, high


def _clamped(at: datetime) -> datetime:
    return min(max(at, _EARLIEST), _LATEST)


def _listed(row: asyncpg.Record) -> Listed:
    fields = dict(row)
    return Listed(**(fields | {"state": State(fields["state"])}))
