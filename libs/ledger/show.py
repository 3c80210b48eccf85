"""Show: one request whole, for who looks after its project: where it stands and what it waits for.

One statement means one snapshot of all but the attempts, which only grow.
"""

from datetime import date, datetime
from typing import Final

import asyncpg
import msgspec

from libs.ledger.connection import Connection
from libs.ledger.states import State
from libs.ledger.timeline import Attempt, attempts_of

_STATEMENT: Final = """
SELECT r.id, r.mode, r.model, r.endpoint, r.created_at, r.retried_from, r.idempotency_key,
    r.erased_at, r.body_expires_on, coalesce(f.state, l.state) AS state,
    coalesce(f.attempts, l.attempts) AS attempts,
    coalesce(f.finished_at, l.updated_at) AS updated_at, f.finished_at,
    CASE WHEN f.request_id IS NULL THEN l.last_error_code ELSE f.last_error_code
        END AS last_error_code,
    f.prompt_tokens, f.completion_tokens, f.total_tokens,
    l.not_before, l.deadline, l.max_attempts, coalesce(l.slot_at IS NOT NULL, false) AS has_slot,
    coalesce(l.not_before > clock_timestamp(), false) AS is_early,
    coalesce(p.is_paused, false) AS is_paused,
    coalesce(c.until > clock_timestamp(), false) AS is_cooling
FROM requests r
LEFT JOIN live l ON l.id = r.id
LEFT JOIN results f ON f.request_id = r.id
LEFT JOIN project_counters p ON p.project_id = l.project_id AND p.mode = l.mode
LEFT JOIN cooldowns c ON c.connection_id = l.connection_id AND c.model = l.model
WHERE r.id = $1 AND r.project_id = $2
"""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A request. `deadline`, `max_attempts` and `not_before` are None once it has ended.

    `is_early`: `not_before` is to come. `is_cooling`: its connection and model rest. The tokens are
    the result's.
    """

    id: str
    mode: str
    model: str
    endpoint: str
    state: State
    attempts: int
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    last_error_code: str | None
    idempotency_key: str | None
    retried_from: str | None
    erased_at: datetime | None
    body_expires_on: date
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    not_before: datetime | None
    deadline: datetime | None
    max_attempts: int | None
    has_slot: bool
    is_early: bool
    is_paused: bool
    is_cooling: bool
    timeline: list[Attempt]


async def show(connection: Connection, project_id: str, request_id: str) -> Shown | None:
    """None where that project has no such request, in either mode."""
    row = await connection.fetchrow(_STATEMENT, request_id, project_id)
    if row is None:
        return None
    return _shown(row, await attempts_of(connection, request_id))


def _shown(row: asyncpg.Record, timeline: list[Attempt]) -> Shown:
    fields = dict(row)
    return Shown(**(fields | {"state": State(fields["state"]), "timeline": timeline}))
