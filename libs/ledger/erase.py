"""Erase: destroy the content of requests and keep what happened.

What is open is cancelled first, which takes its live row; a finish that runs meanwhile has then
either committed or finds nothing. Only a new statement after that sees all bodies there are, and
deletes them with the half of the key that only the ledger has. The idempotency key stays until it
expires, so that a repeat is told that the result is gone.
"""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec

from libs.ledger.accept import Refused
from libs.ledger.cancel import Change, end, end_open, look_again
from libs.ledger.connection import Connection, Database
from libs.ledger.look import Standing
from libs.ledger.pause import HELD, MODES, WAITING, clear_pause
from libs.ledger.settle import count_ends
from libs.ledger.states import State

LIMIT: Final = 200
"""Requests a statement, when a whole project is erased: of the largest bodies within its time."""

_MARK: Final = """
WITH marked AS MATERIALIZED (
    SELECT r.id FROM requests r WHERE r.id = ANY($1) ORDER BY r.id FOR UPDATE
)
UPDATE requests r SET erased_at = coalesce(r.erased_at, clock_timestamp())
FROM marked m WHERE r.id = m.id AND r.id = ANY($1)
RETURNING r.body_expires_on
"""

# In the order in which every other statement takes them.
_DESTROY: Final = (
    "DELETE FROM bodies WHERE expires_on = ANY($1) AND request_id = ANY($2)",
    "DELETE FROM body_keys WHERE expires_on = ANY($1) AND request_id = ANY($2)",
)

_OPEN: Final = f"""
(SELECT r.id FROM live r WHERE r.project_id = $1 AND r.mode = $2 AND {HELD} LIMIT $3)
UNION ALL
(SELECT r.id FROM live r WHERE r.project_id = $1 AND r.mode = $2 AND {WAITING} LIMIT $3)
LIMIT $3
"""

# An array of one, so that no plan walks the ids of all projects (libs/ledger/list_requests.py).
_NEXT: Final = """
SELECT id, erased_at IS NOT NULL AS is_erased FROM requests
WHERE project_id = ANY(ARRAY[$1]) AND mode = $2 AND id > $3
ORDER BY project_id, id LIMIT $4
"""

_FORGET_KEYS: Final = """
WITH found AS MATERIALIZED (
    SELECT project_id, mode, key FROM idempotency_keys
    WHERE project_id = $1 AND mode = $2 ORDER BY 1, 2, 3 LIMIT $3 FOR UPDATE
), gone AS (
    DELETE FROM idempotency_keys k USING found f
    WHERE k.project_id = f.project_id AND k.mode = f.mode AND k.key = f.key
    RETURNING k.key
)
SELECT count(*) FROM gone
"""


class Erased(msgspec.Struct, frozen=True):
    """Its content is gone. `was_open`: it was cancelled by this, to be told to who waits for it."""

    standing: Standing
    was_open: bool


EraseAnswer = Erased | Refused | None


async def erase(connection: Connection, change: Change) -> EraseAnswer:
    """Erase one; harmless again. None where that project and mode have no such request."""
    async with connection.transaction():
        was_open = await end(connection, change)
        if not isinstance(was_open, bool):
            return was_open
        await _destroy(connection, [change.question.request_id])
        standing = await look_again(connection, change)
    count_ends([State.CANCELLED] * was_open)
    return None if standing is None else Erased(standing, was_open)


class _Step(NamedTuple):
    """One batch: the last id it looked at, None where nothing was left, and what it cancelled."""

    last: str | None
    cancelled: list[str]


async def erase_project(database: Database, project_id: str) -> AsyncIterator[list[str]]:
    """Erase all requests of a project and its idempotency keys; yields ids that were cancelled.

    Each batch is committed when it is yielded; broken off, it may be begun again at any time. What
    is open goes first, so that nothing more is paid for. Raises LedgerAway.
    """
    for mode in MODES:
        while (step := await database.run(partial(_end_some, of=(project_id, mode)))).last:
            yield step.cancelled
    for mode in MODES:
        last: str | None = ""
        while last is not None:
            step = await database.run(partial(_erase_some, of=(project_id, mode), after=last))
            last = step.last
            if step.cancelled:
                yield step.cancelled
        while await database.run(partial(_forget_keys, of=(project_id, mode))):
            pass
    # In a paused project nothing ends; what slipped in meanwhile must be able to.
    await database.run(partial(clear_pause, project_id=project_id))


async def _end_some(connection: Connection, of: tuple[str, str]) -> _Step:
    ids = [row["id"] for row in await connection.fetch(_OPEN, *of, LIMIT)]
    async with connection.transaction():
        cancelled = await end_open(connection, *of, ids)
    count_ends([State.CANCELLED] * len(cancelled))
    return _Step(ids[-1] if ids else None, cancelled)


async def _erase_some(connection: Connection, of: tuple[str, str], after: str) -> _Step:
    """Two transactions, so that no counter is held while bodies are deleted.

    Once a request has ended nobody writes a body of it any more.
    """
    rows = await connection.fetch(_NEXT, *of, after, LIMIT)
    ids = [row["id"] for row in rows if not row["is_erased"]]
    async with connection.transaction():
        cancelled = await end_open(connection, *of, ids)
    count_ends([State.CANCELLED] * len(cancelled))
    async with connection.transaction():
        await _destroy(connection, ids)
    return _Step(rows[-1]["id"] if rows else None, cancelled)


async def _destroy(connection: Connection, ids: Sequence[str]) -> None:
    """Mark them, then delete what their days hold of them: statements that see all bodies."""
    rows = await connection.fetch(_MARK, ids)
    days = list({row["body_expires_on"] for row in rows})
    for statement in _DESTROY:
        await connection.execute(statement, days, ids)


async def _forget_keys(connection: Connection, of: tuple[str, str]) -> int:
    forgotten: int = await connection.fetchval(_FORGET_KEYS, *of, LIMIT)
    return forgotten
