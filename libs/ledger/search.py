"""Search: requests of all projects, newest first, for the operator; no content of any.

Ids sort by creation, so an id is the cursor and a range of time is a range of ids. What is open is
little, and is walked through `live`; what ended is walked by id, so a window of time is what bounds
such a search.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from libs.common.ids import lowest_id
from libs.ledger.connection import Connection
from libs.ledger.states import FINAL, State

# An id is minted by the gateway's clock just before `created_at` is taken from the database's.
_SLACK: Final = timedelta(minutes=1)
_LAST: Final = "rr_~"  # sorts after every id

_COLUMNS: Final = """
SELECT r.id, r.account_id, r.project_id, r.mode, r.model, r.created_at,
    coalesce(f.state, l.state) AS state, coalesce(f.attempts, l.attempts) AS attempts,
    coalesce(f.finished_at, l.updated_at) AS updated_at,
    CASE WHEN f.request_id IS NULL THEN l.last_error_code ELSE f.last_error_code
        END AS last_error_code
"""
_ANY: Final = """
FROM requests r LEFT JOIN live l ON l.id = r.id LEFT JOIN results f ON f.request_id = r.id
"""
_OPEN: Final = """
FROM live l JOIN requests r ON r.id = l.id LEFT JOIN results f ON f.request_id = r.id
"""
_WHERE: Final = """
WHERE r.id > $1 AND r.id < $2
    AND r.created_at >= coalesce($3::timestamptz, '-infinity')
    AND r.created_at < coalesce($4::timestamptz, 'infinity')
    AND ($5::text[] IS NULL OR coalesce(f.state, l.state) = ANY($5))
    AND ($6::text IS NULL OR r.project_id = $6) AND ($7::text IS NULL OR r.account_id = $7)
    AND ($8::text IS NULL OR r.mode = $8) AND ($9::text IS NULL OR r.model = $9)
    AND ($10::text IS NULL OR coalesce(f.last_error_code, l.last_error_code) = $10)
ORDER BY r.id DESC LIMIT $11
"""

_ENDED: Final = "SELECT request_id, state FROM results WHERE request_id = ANY($1)"
_STATES: Final = "SELECT state, count(*) AS n FROM live WHERE id = ANY($1) GROUP BY 1"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests; what is None lets everything through.

    `created_after` is included, `created_before` is not. `before_id`: the last of the page before.
    `error_code`: the last one, also of a request that waits for its next attempt.
    """

    account_id: str | None = None
    project_id: str | None = None
    mode: str | None = None
    states: frozenset[State] | None = None
    model: str | None = None
    error_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    before_id: str | None = None
    limit: int = 50


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as far as an operator may see it."""

    id: str
    account_id: str
    project_id: str
    mode: str
    model: str
    state: State
    attempts: int
    created_at: datetime
    updated_at: datetime
    last_error_code: str | None


async def search(connection: Connection, wanted: Wanted) -> list[Found]:
    """A page, newest first; to be planned each time (libs/ledger/connection.py)."""
    is_open = wanted.states is not None and not wanted.states & FINAL
    low, high = _ids(wanted)
    rows = await connection.fetch(
        _COLUMNS + (_OPEN if is_open else _ANY) + _WHERE,
        low,
        high,
        wanted.created_after,
        wanted.created_before,
        None if wanted.states is None else [*wanted.states],
        wanted.project_id,
        wanted.account_id,
        wanted.mode,
        wanted.model,
        wanted.error_code,
        wanted.limit,
    )
    return [_found(row) for row in rows]


async def find(connection: Connection, request_id: str) -> Found | None:
    """One; None where there is no such request."""
    row = await connection.fetchrow(_COLUMNS + _ANY + "WHERE r.id = $1", request_id)
    return None if row is None else _found(row)


async def list_ended(connection: Connection, ids: Sequence[str]) -> dict[str, State]:
    """Of these requests, those that have ended, and how."""
    rows = await connection.fetch(_ENDED, list(ids))
    return {row["request_id"]: State(row["state"]) for row in rows}


async def count_open(connection: Connection, ids: Sequence[str]) -> dict[State, int]:
    """Of these requests, how many of those that are open are in which state."""
    rows = await connection.fetch(_STATES, list(ids))
    return {State(row["state"]): row["n"] for row in rows}


def _ids(wanted: Wanted) -> tuple[str, str]:
    """Both outside."""
    low, high = "", wanted.before_id or _LAST
    if wanted.created_after is not None:
        low = lowest_id("rr", wanted.created_after - _SLACK)
    if wanted.created_before is not None:
        high = min(high, lowest_id("rr", wanted.created_before + _SLACK))
    return low, high


def _found(row: asyncpg.Record) -> Found:
    fields = dict(row)
    return Found(**(fields | {"state": State(fields["state"])}))
