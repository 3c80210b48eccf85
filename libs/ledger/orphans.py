"""Orphans: attempts whose lease ended because their executor died, froze or lost the database.

The attempt is closed as `ambiguous` where it may have been sent, else `lost`; then the request is
retried, or fails: after the fifth crash in a row, when its budget is spent, when its project wants
no repeat after an unknown outcome, or when the retry would come after the deadline.
"""

from datetime import timedelta
from typing import Final

import msgspec

from libs.ledger.connection import Connection
from libs.ledger.finish import Finished
from libs.ledger.settle import TAIL, count_ends
from libs.ledger.states import State

LIMIT: Final = 200
MAX_CRASHES: Final = 5

_STATEMENT: Final = (
    """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
orphan AS MATERIALIZED (
    SELECT l.*, l.sent_at IS NOT NULL AS was_sent,
        (SELECT t FROM clock) + make_interval(secs => least(
            $2::float8 * power(2, least(l.crash_count, 20)), $3::float8) * (0.5 + random() / 2)
        ) AS retry_at
    FROM live l
    WHERE l.due_at <= (SELECT t FROM clock) AND l.state = 'processing'
        AND l.lease_until <= (SELECT t FROM clock)
    ORDER BY l.due_at LIMIT $1 FOR UPDATE OF l SKIP LOCKED
), decided AS MATERIALIZED (
    SELECT o.*, CASE
        WHEN o.crash_count + 1 >= $4 THEN 'executor_crashed'
        WHEN o.was_sent AND o.fails_on_unknown THEN 'executor_crashed'
        WHEN o.was_sent AND o.counted + 1 >= o.max_attempts THEN 'executor_crashed'
        WHEN o.retry_at >= o.deadline THEN 'deadline_exceeded'
    END AS fatal
    FROM orphan o
), gone AS (
    DELETE FROM live l USING decided d
    WHERE l.id = d.id AND l.id = ANY(ARRAY(SELECT id FROM decided)) AND d.fatal IS NOT NULL
    RETURNING l.id, l.account_id, l.project_id, l.mode, l.endpoint, l.model, l.created_at,
        l.attempts, l.body_expires_on, 'failed' AS state, d.fatal AS error_code,
        0 AS prompt_tokens, 0 AS completion_tokens, 0 AS total_tokens
), again AS (
    UPDATE live l
    SET state = 'retrying', not_before = d.retry_at, due_at = l.deadline, slot_at = NULL,
        lease_owner = NULL, lease_until = NULL, sent_at = NULL, started_at = NULL,
        crash_count = l.crash_count + 1, counted = l.counted + d.was_sent::integer,
        last_error_code = 'executor_crashed', updated_at = (SELECT t FROM clock)
    FROM decided d
    WHERE l.id = d.id AND l.id = ANY(ARRAY(SELECT id FROM decided)) AND d.fatal IS NULL
    RETURNING l.project_id, l.mode
), freed AS (
    SELECT project_id, mode FROM gone UNION ALL SELECT project_id, mode FROM again
), tried AS (
    INSERT INTO attempts (
        request_id, number, fence, executor, started_at, sent_at, finished_at, error_code, outcome,
        retry_at, retry_rule
    )
    SELECT d.id, d.attempts, d.fence, d.lease_owner, d.started_at, d.sent_at,
        (SELECT t FROM clock), 'executor_crashed',
        CASE WHEN d.was_sent THEN 'ambiguous' ELSE 'lost' END,
        CASE WHEN d.fatal IS NULL THEN d.retry_at END,
        CASE WHEN d.fatal IS NULL THEN 'crash-backoff' END
    FROM decided d
    ON CONFLICT (request_id, number) DO NOTHING
),
"""
    + TAIL
    + """
SELECT d.id, coalesce(d.fatal IS NOT NULL, false) AS is_final, d.fatal, d.retry_at FROM decided d
"""
)


class CrashBackoff(msgspec.Struct, frozen=True):
    """How long to wait after a crash: `base`, doubling with each crash in a row up to `cap`."""

    base: timedelta = timedelta(seconds=0.5)
    cap: timedelta = timedelta(minutes=5)


async def close_orphans(connection: Connection, backoff: CrashBackoff) -> list[Finished]:
    """Take every lease that ended. To be called only after a lease's length of unbroken contact."""
    rows = await connection.fetch(
        _STATEMENT, LIMIT, backoff.base.total_seconds(), backoff.cap.total_seconds(), MAX_CRASHES
    )
    closed = [
        Finished(
            row["id"],
            State.FAILED if row["is_final"] else State.RETRYING,
            row["fatal"],
            row["is_final"],
            row["retry_at"],
        )
        for row in rows
    ]
    count_ends(one.state for one in closed)
    return closed
