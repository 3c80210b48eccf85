"""Cancel: end requests that are not final, in the transaction that spends the call's nonce.

A running attempt is closed as `ambiguous` where it may have been sent, else `cancelled`. Its
executor finds the row gone at its next renewal, and its late finish changes nothing.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from libs.ledger.accept import Refusal, Refused
from libs.ledger.connection import Connection
from libs.ledger.look import Question, Standing, look
from libs.ledger.nonces import Nonce, spend
from libs.ledger.settle import TAIL, count_ends
from libs.ledger.states import State

# A statement of its own, so that the next one sees what it had to wait for: a slot that was given
# meanwhile comes with its counter, and an older view of that would fall below zero.
_LOCK: Final = """
SELECT l.id FROM live l WHERE l.id = ANY($1) AND l.project_id = $2 AND l.mode = $3
ORDER BY l.id FOR UPDATE OF l
"""

_END: Final = (
    """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
open AS MATERIALIZED (
    SELECT l.* FROM live l WHERE l.id = ANY($1)
), gone AS (
    DELETE FROM live l USING open o
    WHERE l.id = o.id AND l.id = ANY($1)
    RETURNING l.id, l.account_id, l.project_id, l.mode, l.endpoint, l.model, l.created_at,
        l.attempts, l.body_expires_on, l.slot_at, 'cancelled' AS state, 'cancelled' AS error_code,
        0 AS prompt_tokens, 0 AS completion_tokens, 0 AS total_tokens
), freed AS (
    SELECT project_id, mode FROM gone WHERE slot_at IS NOT NULL
), tried AS (
    INSERT INTO attempts (
        request_id, number, fence, executor, started_at, sent_at, finished_at, error_code, outcome
    )
    SELECT o.id, o.attempts, o.fence, o.lease_owner, o.started_at, o.sent_at,
        (SELECT t FROM clock), 'cancelled',
        CASE WHEN o.sent_at IS NULL THEN 'cancelled' ELSE 'ambiguous' END
    FROM open o WHERE o.state = 'processing'
    ON CONFLICT (request_id, number) DO NOTHING
),
"""
    + TAIL
    + """
SELECT id FROM gone
"""
)


class Change(msgspec.Struct, frozen=True):
    """Which request to change. `nonce`: of a signed call, spent with the change."""

    question: Question
    nonce: Nonce | None = None


class Cancelled(msgspec.Struct, frozen=True):
    """It was open, and is cancelled now: to be told to whoever waits for it."""

    standing: Standing


class AlreadyFinal(msgspec.Struct, frozen=True):
    """It had ended before; cancelled, perhaps."""

    standing: Standing


CancelAnswer = Cancelled | AlreadyFinal | Refused | None


async def cancel(connection: Connection, change: Change) -> CancelAnswer:
    """Cancel one; None where that project and mode have no such request."""
    async with connection.transaction():
        was_open = await end(connection, change)
        if not isinstance(was_open, bool):
            return was_open
        standing = await look_again(connection, change)
    count_ends([State.CANCELLED] * was_open)
    if standing is None:
        return None
    return Cancelled(standing) if was_open else AlreadyFinal(standing)


async def end(connection: Connection, change: Change) -> bool | Refused | None:
    """Spend the nonce and end the request, in the caller's transaction. True: it was open.

    The nonce comes first (the lock order). Waits for a finish under way. None where that project
    and mode have no such request.
    """
    question, nonce = change.question, change.nonce
    if nonce is not None and not (await spend(connection, [nonce]))[0]:
        return Refused(Refusal.NONCE_REUSED)
    [standing] = await look(connection, [question])
    if standing is None:
        return None
    ids = [question.request_id]
    return bool(await end_open(connection, question.project_id, question.mode, ids))


async def look_again(connection: Connection, change: Change) -> Standing | None:
    """Where a request stands that was there before; None where it has been purged meanwhile."""
    [standing] = await look(connection, [change.question])
    return standing


async def end_open(
    connection: Connection, project_id: str, mode: str, ids: Sequence[str]
) -> list[str]:
    """End those of `ids` that are open, in the caller's transaction; answers which."""
    locked = [row["id"] for row in await connection.fetch(_LOCK, ids, project_id, mode)]
    if locked:
        await connection.execute(_END, locked)
    return locked
