"""Rows that lie beside those under test: open requests, history on the same days, customers."""

import asyncpg

_ID = "'rr_' || lpad(n::text, 26, '0')"
_ENDED_ID = "'rr_e' || lpad(n::text, 25, '0')"
_ROWS = "FROM generate_series($1::integer, $2::integer) n, day"

# The day that the rows under test expire on: their bodies and these lie in one partition.
_DAY = "WITH day AS (SELECT max(body_expires_on) AS day FROM requests)"

_OPEN = f"""
{_DAY} INSERT INTO live (id, account_id, project_id, mode, state, endpoint, model, connection_id,
    created_at, updated_at, not_before, due_at, deadline, max_attempts, call_timeout,
    fails_on_unknown, body_expires_on)
SELECT {_ID}, 'acc_fill', 'prj_fill', 'live', 'queued', 'e', 'm', 'c',
    now(), now(), now(), now() + interval '1 day', now() + interval '1 day', 8, 600, false, day
{_ROWS}
"""
_ENDED = f"""
{_DAY} INSERT INTO results (request_id, account_id, project_id, mode, model, state, attempts,
    finished_at, body_expires_on)
SELECT {_ENDED_ID}, 'acc_fill', 'prj_fill', 'live', 'm', 'completed', 1, now(), day {_ROWS}
"""
_TRIED = f"""
{_DAY} INSERT INTO attempts (request_id, number, fence, executor, started_at, finished_at, outcome)
SELECT {_ENDED_ID}, 1, 1, 'executor-1', now(), now(), 'completed' {_ROWS}
"""
_COOLED = f"{_DAY} INSERT INTO cooldowns SELECT 'con_' || n, 'm', now() {_ROWS}"
_SUBMITTED = f"""
{_DAY} INSERT INTO requests (id, account_id, project_id, key_id, mode, endpoint, model, created_at,
    body_expires_on, retried_from)
SELECT id, 'acc_fill', 'prj_fill', 'key_fill', 'live', 'e', 'm', now(), day, retried_from
{_ROWS}, LATERAL (VALUES ({_ID}, {_ENDED_ID}), ({_ENDED_ID}, NULL)) AS both_of (id, retried_from)
"""
_KEYS = f"""
{_DAY} INSERT INTO body_keys (request_id, expires_on, secret)
SELECT id, day, '\\x00' {_ROWS}, LATERAL (VALUES ({_ID}), ({_ENDED_ID})) AS both_of (id)
"""
_BODIES = f"""
{_DAY} INSERT INTO bodies (request_id, kind, number, expires_on, content)
SELECT id, kind, number, day, '\\x00'
{_ROWS}, LATERAL (
    VALUES ({_ID}, 'request', 0), ({_ENDED_ID}, 'request', 0), ({_ENDED_ID}, 'result', 1)
) AS all_of (id, kind, number)
"""  # noqa: S608  # constants
_ACCOUNTS = f"""
{_DAY} INSERT INTO account_counters (account_id, mode, period)
SELECT 'acc_' || n, 'live', day {_ROWS}
"""
_PROJECTS = f"""
{_DAY} INSERT INTO project_counters (project_id, mode, running_limit)
SELECT 'prj_' || n, 'live', 4 {_ROWS}
"""
# One project may have as many as all others: to know the project is not to know the key.
_IDEMPOTENCY_KEYS = f"""
{_DAY} INSERT INTO idempotency_keys (project_id, mode, key, request_id, fingerprint, expires_on)
SELECT project, 'live', n::text, {_ID}, '\\x00', day
{_ROWS}, LATERAL (VALUES ('prj_' || n), ('prj_a')) AS both_of (project)
"""
_NONCES = f"""
{_DAY} INSERT INTO nonces (key_id, nonce, expires_at)
SELECT 'key_fill', n::text, day + interval '1 day' {_ROWS}
"""
_FILL = (
    _OPEN, _ENDED, _TRIED, _COOLED, _SUBMITTED, _KEYS, _BODIES,
    _ACCOUNTS, _PROJECTS, _IDEMPOTENCY_KEYS, _NONCES,
)  # fmt: skip
_COUNTERS = """
INSERT INTO project_counters VALUES ('prj_fill', 'live', 0, 0, false);
INSERT INTO account_counters VALUES ('acc_fill', 'live', 0, current_date, 0)
"""


async def make_room(sql: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Add the counters of the project that all rows beside belong to."""
    await sql.execute(_COUNTERS)


async def crowd(sql: "asyncpg.Connection[asyncpg.Record]", first: int, last: int) -> None:
    """Open and ended requests `first` to `last`, on the day of the latest request there is."""
    for statement in _FILL:
        await sql.execute(statement, first, last)
    await sql.execute(
        "UPDATE account_counters SET pending = $1 WHERE account_id = 'acc_fill'", last
    )
