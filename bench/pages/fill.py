"""Generated history of one project: what ended over thirty days, and what is open.

The rows are what the product leaves. Roll-ups are counted by its own function, counters are right.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, TypeAlias

import asyncpg
import msgspec

from libs.common.ids import ALPHABET

DAYS: Final = 30
CHUNK: Final = 250_000
MODELS: Final = 20
KEY: Final = "key_7"
"""The API key of everything that is generated."""
RUNNING: Final = 512
"""Of the open ones hold a slot; the others wait for one, or for their next attempt."""

_MONTH, _HOUR, _MINUTE = timedelta(days=DAYS), timedelta(hours=1), timedelta(minutes=1)

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# As libs/common/ids.py makes them: the time first, so that they sort by it.
_TIME: Final = " || ".join(
    f"substr('{ALPHABET}', (ms >> {shift} & 31)::integer + 1, 1)" for shift in range(45, -1, -5)
)
_TABLE: Final = """
CREATE TEMP TABLE made (account text, project text, n bigint, at timestamptz, id text, model text,
    state text, attempts integer, seconds float8, day date)
"""
# $1 and $2: whose. $3 to $4 of $5, evenly from $6 ago to $7 ago.
_MAKE: Final = f"""
INSERT INTO made
SELECT $1, $2, n, at, 'rr_' || {_TIME} || lpad(n::text, 16, '0'), 'model-' || n % {MODELS},
    CASE WHEN n % 100 = 0 THEN 'failed' WHEN n % 200 = 1 THEN 'cancelled' ELSE 'completed' END,
    CASE WHEN n % 50 = 0 THEN 3 ELSE 1 END, 0.4 + n % 90 / 50.0,
    (at AT TIME ZONE 'UTC')::date + {DAYS} + 2
FROM (
    SELECT n, at, (extract(epoch FROM at) * 1000)::bigint AS ms
    FROM generate_series($3::bigint, $4::bigint) n CROSS JOIN LATERAL (
        SELECT now() - $7::interval - ($6::interval - $7::interval) * (1 - n / $5::float8) AS at
    ) spread
) timed
"""  # noqa: S608  constants only, here and below
_REQUESTS: Final = f"""
INSERT INTO requests (id, account_id, project_id, key_id, mode, endpoint, model, created_at,
    body_expires_on, idempotency_key)
SELECT id, account, project, '{KEY}', 'live', 'chat/completions', model, at, day,
    CASE WHEN n % 4 = 0 THEN 'order-' || n END FROM made
"""  # noqa: S608
_ENDED: Final = (
    """
    INSERT INTO attempts (request_id, number, fence, executor, started_at, sent_at, finished_at,
        status_code, outcome, provider_request_id, prompt_tokens, completion_tokens, total_tokens)
    SELECT id, number, number, 'executor-1', began.at, began.at,
        began.at + make_interval(secs => seconds), CASE WHEN number < attempts THEN 429
            WHEN state = 'failed' THEN 400 ELSE 200 END,
        CASE WHEN number < attempts THEN 'transient' WHEN state = 'failed' THEN 'permanent'
            ELSE 'completed' END, 'req_' || n, 96, 84, 180
    FROM made CROSS JOIN LATERAL generate_series(1, attempts) number
    CROSS JOIN LATERAL (SELECT at + make_interval(secs => seconds * (number - 1)) AS at) began
    """,
    """
    INSERT INTO results (request_id, account_id, project_id, mode, model, state, attempts,
        prompt_tokens, completion_tokens, total_tokens, finished_at, body_expires_on)
    SELECT id, account, project, 'live', model, state, attempts, 96, 84, 180,
        at + make_interval(secs => seconds * attempts), day FROM made
    """,
    """
    INSERT INTO idempotency_keys (project_id, mode, key, request_id, fingerprint, expires_on)
    SELECT project, 'live', 'order-' || n, id, sha256(id::bytea), day FROM made
    WHERE n % 4 = 0
    """,
    """
    SELECT count_ended_v1(array_agg((id, project, 'live', model, state, attempts, 96, 84, at,
        at + make_interval(secs => seconds * attempts))::ended_v1))
    FROM made
    GROUP BY date_trunc('hour', at + make_interval(secs => seconds * attempts), 'UTC')
    """,
)
_OPEN: Final = (
    f"""
    INSERT INTO live (id, account_id, project_id, mode, state, endpoint, model, connection_id,
        created_at, updated_at, attempts, fence, lease_owner, lease_until, started_at, sent_at,
        slot_at, not_before, due_at, deadline, max_attempts, call_timeout, fails_on_unknown,
        body_expires_on)
    SELECT id, account, project, 'live', s.state, 'chat/completions', model, 'con_7', at, at,
        s.attempts, s.attempts, s.owner, s.until, s.began_at, s.began_at, s.slot_at, s.not_before,
        coalesce(s.until, now() + interval '1 day'), now() + interval '1 day', 8, 600, false, day
    FROM made CROSS JOIN LATERAL (
        SELECT n <= {RUNNING} AS runs, n % 2 = 0 AS waits
    ) w CROSS JOIN LATERAL (
        SELECT CASE WHEN runs THEN 'processing' WHEN waits THEN 'retrying' ELSE 'queued' END
                AS state,
            CASE WHEN runs OR waits THEN 1 ELSE 0 END AS attempts,
            CASE WHEN runs THEN 'executor-1' END AS owner,
            CASE WHEN runs THEN now() + interval '1 min' END AS until,
            CASE WHEN runs THEN at END AS began_at, CASE WHEN runs THEN at END AS slot_at,
            at + interval '1 h' * (n % 24) * waits::integer AS not_before
    ) s
    """,  # noqa: S608
    f"""
    UPDATE project_counters SET slots = slots + (SELECT count(*) FROM made WHERE n <= {RUNNING})
    WHERE project_id = (SELECT project FROM made LIMIT 1) AND mode = 'live'
    """,  # noqa: S608
    """
    UPDATE account_counters SET pending = pending + (SELECT count(*) FROM made)
    WHERE account_id = (SELECT account FROM made LIMIT 1) AND mode = 'live'
    """,
)
_ACCEPTED: Final = """
UPDATE account_counters SET accepted = accepted + (SELECT count(*) FROM made WHERE at >= period)
WHERE account_id = (SELECT account FROM made LIMIT 1) AND mode = 'live'
"""


class Owner(msgspec.Struct, frozen=True):
    """Whose requests. Both have their counters: something of theirs was accepted before."""

    account_id: str
    project_id: str


async def fill(sql: Sql, owner: Owner, ended: int, opened: int) -> float:
    """So many of each; how many minutes that took. `sql`: a superuser's to database `requests`."""
    began_at = time.monotonic()
    await sql.execute("SET synchronous_commit = off; SET jit = off")
    await sql.execute(_TABLE)
    for first in range(1, ended + 1, CHUNK):
        some = (first, min(first + CHUNK - 1, ended), ended, _MONTH, _HOUR)
        await _make(sql, owner, some, _ENDED)
    if opened:
        await _make(sql, owner, (1, opened, opened, _HOUR, _MINUTE), _OPEN)
    await sql.execute("DROP TABLE made")
    await sql.execute("VACUUM (ANALYZE)")
    return (time.monotonic() - began_at) / 60


async def _make(
    sql: Sql, owner: Owner, some: tuple[int, int, int, timedelta, timedelta], rest: Sequence[str]
) -> None:
    await sql.execute("TRUNCATE made")
    await sql.execute(_MAKE, owner.account_id, owner.project_id, *some)
    for statement in (_REQUESTS, *rest, _ACCEPTED):
        await sql.execute(statement)
