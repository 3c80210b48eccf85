"""Finish: write how attempts ended, many in one fenced statement.

Result, attempt, usage, state, counters and the event move together or not at all. A write applies
while the fence is the claim's, `retrying` included: an answer that was paid for is kept even if the
lease ran out meanwhile. A row that is gone or has a higher fence is left alone.
"""

from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from libs.common.crash_points import crash_point
from libs.ledger.connection import Connection
from libs.ledger.settle import TAIL, count_ends
from libs.ledger.states import Outcome, State

_STATEMENT: Final = (
    """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
item AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::text[], $2::integer[], $3::integer[], $4::text[], $5::text[], $6::text[],
        $7::integer[], $8::integer[], $9::float8[], $10::text[], $11::boolean[], $12::float8[],
        $13::integer[], $14::text[], $15::text[], $16::integer[], $17::integer[], $18::integer[],
        $19::bytea[], $20::bytea[]
    ) AS u (
        id, fence, number, state, outcome, error_code, counted, timeouts, retry_seconds,
        retry_rule, was_sent, cooldown_seconds, status_code, provider_request_id,
        provider_headers, prompt_tokens, completion_tokens, total_tokens, result, provider_error
    )
), mine AS MATERIALIZED (
    SELECT l.id, l.state = 'processing' AS is_leased, l.slot_at, l.deadline, l.sent_at,
        l.started_at, l.connection_id, l.model, l.lease_owner, l.body_expires_on,
        (SELECT t FROM clock) + make_interval(secs => i.retry_seconds) AS retry_at
    FROM live l JOIN item i ON i.id = l.id AND i.fence = l.fence
    WHERE l.id = ANY($1)
    ORDER BY l.id FOR UPDATE OF l {locked}
), decided AS MATERIALIZED (
    -- A retry that could only start after the deadline is no retry.
    SELECT m.*, i.number, i.outcome, i.error_code AS attempt_error, i.counted, i.timeouts,
        i.was_sent, i.status_code, i.fence, i.retry_rule, i.cooldown_seconds,
        i.provider_request_id, i.provider_headers, i.prompt_tokens, i.completion_tokens,
        i.total_tokens, i.result, i.provider_error,
        i.state <> 'retrying' OR m.retry_at >= m.deadline AS is_final,
        CASE WHEN i.state <> 'retrying' THEN i.state
            WHEN m.retry_at >= m.deadline THEN 'failed' ELSE 'retrying' END AS state,
        CASE WHEN i.state = 'completed' THEN NULL
            WHEN i.state = 'retrying' AND m.retry_at >= m.deadline THEN 'deadline_exceeded'
            ELSE i.error_code END AS error_code
    FROM mine m JOIN item i ON i.id = m.id
), gone AS (
    DELETE FROM live l USING decided d
    WHERE l.id = d.id AND l.id = ANY($1) AND d.is_final
    RETURNING l.id, l.account_id, l.project_id, l.mode, l.endpoint, l.model, l.created_at,
        l.attempts, l.body_expires_on, l.slot_at, d.state, d.error_code,
        coalesce(d.prompt_tokens, 0) AS prompt_tokens,
        coalesce(d.completion_tokens, 0) AS completion_tokens,
        coalesce(d.total_tokens, 0) AS total_tokens
), again AS (
    UPDATE live l
    SET state = 'retrying', not_before = d.retry_at, due_at = l.deadline, slot_at = NULL,
        lease_owner = NULL, lease_until = NULL, sent_at = NULL, started_at = NULL, crash_count = 0,
        -- Not leased: the orphan was counted, or this very finish was written once already.
        counted = l.counted + CASE WHEN d.is_leased THEN d.counted ELSE 0 END,
        timeouts = l.timeouts + CASE WHEN d.is_leased THEN d.timeouts ELSE 0 END,
        last_error_code = d.error_code,
        updated_at = (SELECT t FROM clock)
    FROM decided d WHERE l.id = d.id AND l.id = ANY($1) AND NOT d.is_final
    RETURNING l.id, l.project_id, l.mode
), freed AS (
    SELECT project_id, mode FROM gone WHERE slot_at IS NOT NULL
    UNION ALL
    SELECT a.project_id, a.mode FROM again a JOIN decided d USING (id) WHERE d.slot_at IS NOT NULL
), tried AS (
    INSERT INTO attempts (
        request_id, number, fence, executor, started_at, sent_at, finished_at, status_code,
        error_code, outcome, retry_at, retry_rule, provider_request_id, provider_headers,
        prompt_tokens, completion_tokens, total_tokens
    )
    SELECT d.id, d.number, d.fence, d.lease_owner, coalesce(d.started_at, (SELECT t FROM clock)),
        CASE WHEN d.was_sent THEN coalesce(d.sent_at, (SELECT t FROM clock)) END,
        (SELECT t FROM clock), d.status_code, d.attempt_error, d.outcome,
        CASE WHEN NOT d.is_final THEN d.retry_at END,
        CASE WHEN NOT d.is_final THEN d.retry_rule END, d.provider_request_id,
        d.provider_headers::jsonb, d.prompt_tokens, d.completion_tokens, d.total_tokens
    FROM decided d
    -- A late answer: the attempt was closed as an orphan, and now we know better.
    ON CONFLICT (request_id, number) DO UPDATE
    SET finished_at = excluded.finished_at, status_code = excluded.status_code,
        error_code = excluded.error_code, outcome = excluded.outcome, retry_at = excluded.retry_at,
        retry_rule = excluded.retry_rule, provider_request_id = excluded.provider_request_id,
        provider_headers = excluded.provider_headers, prompt_tokens = excluded.prompt_tokens,
        completion_tokens = excluded.completion_tokens, total_tokens = excluded.total_tokens
    WHERE attempts.fence = excluded.fence
), kept AS (
    INSERT INTO bodies (request_id, kind, number, expires_on, content)
    SELECT d.id, 'result', d.number, d.body_expires_on, d.result
    FROM decided d WHERE d.result IS NOT NULL AND d.state = 'completed'
    UNION ALL
    SELECT d.id, 'provider_error', d.number, d.body_expires_on, d.provider_error
    FROM decided d WHERE d.provider_error IS NOT NULL
    ON CONFLICT DO NOTHING
), cooled AS (
    INSERT INTO cooldowns (connection_id, model, until)
    SELECT d.connection_id, d.model,
        max((SELECT t FROM clock) + make_interval(secs => d.cooldown_seconds))
    FROM decided d WHERE d.cooldown_seconds > 0 GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (connection_id, model) DO UPDATE
    SET until = greatest(cooldowns.until, excluded.until)
),
"""
    + TAIL
    + """
SELECT d.id, d.state, d.error_code, d.is_final,
    CASE WHEN NOT d.is_final THEN d.retry_at END AS retry_at
FROM decided d
"""
)
_FREE: Final = _STATEMENT.format(locked="SKIP LOCKED")
_EXACT: Final = _STATEMENT.format(locked="")
_ALONE: Final = "SELECT complete_one_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended and what follows.

    `state`: completed, failed, or retrying (then `retry_after` from now, by the database's clock).
    `counted`, `timeouts`: what it adds to the request's budgets. `was_sent`: False only when it is
    certain that the provider got nothing. `provider_headers`: JSON object. Bodies are sealed.
    """

    request_id: str
    fence: int
    attempt: int
    state: State
    outcome: Outcome
    error_code: str | None = None
    counted: int = 0
    timeouts: int = 0
    retry_after: timedelta = timedelta()
    retry_rule: str | None = None
    was_sent: bool = True
    cooldown: timedelta = timedelta()
    status_code: int | None = None
    provider_request_id: str | None = None
    provider_headers: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    result: bytes | None = None
    provider_error: bytes | None = None

    def weigh(self) -> int:
        """Bytes of what may be large."""
        return len(self.result or b"") + len(self.provider_error or b"")

    def without_extras(self) -> "Finish":
        """Only what the promise needs: for a row that the database refused to take whole."""
        return msgspec.structs.replace(
            self, provider_request_id=None, provider_headers=None, provider_error=None
        )


class Finished(msgspec.Struct, frozen=True):
    """What the finish made of the request. `state` may be failed where a retry came too late."""

    request_id: str
    state: State
    error_code: str | None
    is_final: bool
    retry_at: datetime | None


async def finish(connection: Connection, items: Sequence[Finish]) -> list[Finished | None]:
    """Write all; None for an item whose row is gone or was claimed again: it changed nothing."""
    return await _counted(_finish_all(connection, _EXACT, items))


async def finish_free(connection: Connection, items: Sequence[Finish]) -> list[Finished | None]:
    """As `finish`, but None also for an item whose row somebody has locked: nothing is known."""
    if len(items) == 1 and _is_plain(items[0]):
        return await _counted(_complete_one(connection, items[0]))
    return await _counted(_finish_all(connection, _FREE, items))


async def _counted(writing: Awaitable[list[Finished | None]]) -> list[Finished | None]:
    crash_point("finish.before_commit")
    written = await writing
    crash_point("finish.after_commit")
    count_ends(one.state for one in written if one is not None)
    return written


def _is_plain(item: Finish) -> bool:
    """An answer as nearly all are: what decision 0032 has a statement for."""
    return item.state is State.COMPLETED and item.was_sent and item.result is not None


async def _complete_one(connection: Connection, item: Finish) -> list[Finished | None]:
    is_written = await connection.fetchval(
        _ALONE,
        item.request_id,
        item.fence,
        item.attempt,
        item.status_code,
        item.provider_request_id,
        item.provider_headers,
        item.prompt_tokens,
        item.completion_tokens,
        item.total_tokens,
        item.result,
    )
    ended = Finished(item.request_id, item.state, None, is_final=True, retry_at=None)
    return [ended if is_written else None]


async def _finish_all(
    connection: Connection, statement: str, items: Sequence[Finish]
) -> list[Finished | None]:
    rows = await connection.fetch(statement, *_columns(items))
    written = {row["id"]: _finished(row) for row in rows}
    return [written.get(item.request_id) for item in items]


def _columns(items: Sequence[Finish]) -> list[list[object]]:
    return [
        [item.request_id for item in items],
        [item.fence for item in items],
        [item.attempt for item in items],
        [item.state.value for item in items],
        [item.outcome.value for item in items],
        [item.error_code for item in items],
        [item.counted for item in items],
        [item.timeouts for item in items],
        [item.retry_after.total_seconds() for item in items],
        [item.retry_rule for item in items],
        [item.was_sent for item in items],
        [item.cooldown.total_seconds() for item in items],
        [item.status_code for item in items],
        [item.provider_request_id for item in items],
        [item.provider_headers for item in items],
        [item.prompt_tokens for item in items],
        [item.completion_tokens for item in items],
        [item.total_tokens for item in items],
        [item.result for item in items],
        [item.provider_error for item in items],
    ]


def _finished(row: asyncpg.Record) -> Finished:
    return Finished(
        row["id"], State(row["state"]), row["error_code"], row["is_final"], row["retry_at"]
    )
