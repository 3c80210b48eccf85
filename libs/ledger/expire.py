"""Expire: fail what nobody may start any more. A running call is never cut by its deadline."""

from typing import Final

from libs.ledger.connection import Connection
from libs.ledger.settle import TAIL, count_ends
from libs.ledger.states import State

LIMIT: Final = 200

_STATEMENT: Final = (
    """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
late AS MATERIALIZED (
    SELECT l.id, coalesce(c.is_paused, false) AS is_paused
    FROM live l
    LEFT JOIN LATERAL (
        SELECT c.is_paused FROM project_counters c
        WHERE c.project_id = l.project_id AND c.mode = l.mode
        OFFSET 0
    ) c ON true
    WHERE l.due_at <= (SELECT t FROM clock) AND l.deadline <= (SELECT t FROM clock)
        AND l.state IN ('queued', 'retrying')
    ORDER BY l.due_at LIMIT $1 FOR UPDATE OF l SKIP LOCKED
), gone AS (
    DELETE FROM live l USING late d
    WHERE l.id = d.id AND l.id = ANY(ARRAY(SELECT id FROM late)) AND NOT d.is_paused
    RETURNING l.id, l.account_id, l.project_id, l.mode, l.endpoint, l.model, l.created_at,
        l.attempts, l.body_expires_on, l.slot_at, 'failed' AS state,
        'deadline_exceeded' AS error_code,
        0 AS prompt_tokens, 0 AS completion_tokens, 0 AS total_tokens
), held AS (
    -- In a paused project nothing expires; look again later.
    UPDATE live l SET due_at = (SELECT t FROM clock) + interval '10 min'
    FROM late d
    WHERE l.id = d.id AND l.id = ANY(ARRAY(SELECT id FROM late)) AND d.is_paused
), freed AS (
    SELECT project_id, mode FROM gone WHERE slot_at IS NOT NULL
),
"""
    + TAIL
    + """
SELECT id FROM gone
"""
)


async def expire(connection: Connection) -> list[str]:
    """Fail all whose deadline has passed; answers their ids."""
    expired = [row["id"] for row in await connection.fetch(_STATEMENT, LIMIT)]
    count_ends([State.FAILED] * len(expired))
    return expired
