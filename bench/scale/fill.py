"""Generated history: requests that ended long ago, as the product leaves them."""

import asyncio
from collections.abc import Callable

import asyncpg

CHUNK = 250_000
_BODY_BYTES = 200

# Ids sort before all real ones, in the order of their numbers; a hundred projects, thirty days.
_ID = "'rr_' || lpad(n::text, 26, '0')"
_PROJECT = "'prj_' || n % 100"
_DAY = "current_date + 2 + (n % 30)::integer"
_ROWS = "FROM generate_series($1::bigint, $2::bigint) n"

# One list a connection, filled side by side.
_TABLES = (
    (
        f"""
        INSERT INTO requests (id, account_id, project_id, key_id, mode, endpoint, model, created_at,
            body_expires_on)
        SELECT {_ID}, 'acc_' || n % 10, {_PROJECT}, 'key_' || n % 100, 'live', 'chat/completions',
            'model-' || n % 5, now() - interval '1 day', {_DAY} {_ROWS}
        """,
        f"""
        INSERT INTO attempts (request_id, number, fence, executor, started_at, sent_at, finished_at,
            status_code, outcome, provider_request_id, prompt_tokens, completion_tokens,
            total_tokens)
        SELECT {_ID}, 1, 1, 'executor-1', now(), now(), now(), 200, 'completed', 'req_' || n, 96,
            84, 180 {_ROWS}
        """,
        f"""
        INSERT INTO body_keys (request_id, expires_on, secret)
        SELECT {_ID}, {_DAY}, decode(md5(n::text), 'hex') {_ROWS}
        """,
    ),
    (
        f"""
        INSERT INTO results (request_id, account_id, project_id, mode, model, state, attempts,
            prompt_tokens, completion_tokens, total_tokens, finished_at, body_expires_on)
        SELECT {_ID}, 'acc_' || n % 10, {_PROJECT}, 'live', 'model-' || n % 5,
            CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'completed' END, 1, 96, 84, 180, now(), {_DAY}
        {_ROWS}
        """,
        *(
            f"""
            INSERT INTO bodies (request_id, kind, number, expires_on, content)
            SELECT {_ID}, '{kind}', {number}, {_DAY},
                decode(repeat(md5(n::text), {_BODY_BYTES // 16}), 'hex') {_ROWS}
            """
            for kind, number in (("request", 0), ("result", 1))
        ),
    ),
)
_NAMES = "SELECT relid::regclass::text AS name FROM pg_statio_user_tables"


async def keep_plans(sql: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let nothing but us analyse a table: that makes sessions plan anew, and touches buffers."""
    for row in await sql.fetch(_NAMES):
        await sql.execute(f"ALTER TABLE {row['name']} SET (autovacuum_enabled = off)")


async def renew_plans(sql: "asyncpg.Connection[asyncpg.Record]") -> None:
    """As autovacuum does some day: all sessions plan anew, of tables as they are."""
    await sql.execute("VACUUM (ANALYZE)")


async def fill(url: str, first: int, last: int, note: Callable[[int], None]) -> None:
    """Make rows `first` to `last` of every table; `note` is told of the last one so far."""
    connections = [await asyncpg.connect(url) for _ in _TABLES]
    try:
        for connection in connections:
            await connection.execute("SET synchronous_commit = off")
        for start in range(first, last + 1, CHUNK):
            end = min(start + CHUNK - 1, last)
            pairs = zip(connections, _TABLES, strict=True)
            await asyncio.gather(*(_chunk(one, some, start, end) for one, some in pairs))
            note(end)
    finally:
        for connection in connections:
            await connection.close()


async def _chunk(
    connection: "asyncpg.Connection[asyncpg.Record]",
    statements: tuple[str, ...],
    start: int,
    end: int,
) -> None:
    for statement in statements:
        await connection.execute(statement, start, end)
