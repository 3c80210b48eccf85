"""Purge: what has expired goes, in bounded batches, each a transaction of its own.

Any number of dispatchers may purge at once: a batch takes what nobody has locked, or one advisory
lock. Before a day of bodies is dropped, those of requests that are still open move to a later day;
only a pause makes a request outlive its day. Running ones are not moved, for their executor has
read which day is theirs: the drop waits for them.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from functools import partial
from typing import Final, NamedTuple

import asyncpg
import msgspec

from libs.ledger.connection import Connection, Database
from libs.ledger.retire import Retirement

LIMIT: Final = 1_000
ROUNDS: Final = 100  # batches of each kind a round
MOVES: Final = 20  # requests a transaction; their bodies may have 2 MiB each

# Expired nonces protect nothing: the call's timestamp is refused long before.
_NONCES: Final = """
WITH alone AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtext('reqrun.purge.nonces')) AS is_alone
), old AS MATERIALIZED (
    SELECT n.ctid FROM nonces n
    WHERE (SELECT is_alone FROM alone) AND n.expires_at <= (SELECT clock_timestamp())
    ORDER BY n.expires_at LIMIT $1
), gone AS (
    DELETE FROM nonces n WHERE n.ctid = ANY(ARRAY(SELECT ctid FROM old)) RETURNING n.nonce
)
SELECT count(*) FROM gone
"""

# A key is free again only when it has expired and its request is final.
_KEYS: Final = """
WITH old AS MATERIALIZED (
    SELECT k.project_id, k.mode, k.key FROM idempotency_keys k
    WHERE k.expires_on <= (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date)
        AND NOT EXISTS (SELECT FROM live l WHERE l.id = k.request_id)
    ORDER BY k.expires_on LIMIT $1 FOR UPDATE OF k SKIP LOCKED
), gone AS (
    DELETE FROM idempotency_keys k USING old o
    WHERE k.project_id = o.project_id AND k.mode = o.mode AND k.key = o.key
    RETURNING k.key
)
SELECT count(*) FROM gone
"""

# Whoever cools the same connection again meanwhile has it locked, or adds it anew.
_COOLDOWNS: Final = """
WITH old AS MATERIALIZED (
    SELECT c.connection_id, c.model FROM cooldowns c
    WHERE c.until <= (SELECT clock_timestamp())
    ORDER BY 1, 2 LIMIT $1 FOR UPDATE OF c SKIP LOCKED
), gone AS (
    DELETE FROM cooldowns c USING old o
    WHERE c.connection_id = o.connection_id AND c.model = o.model
    RETURNING c.model
)
SELECT count(*) FROM gone
"""

_EXPIRED: Final = """
SELECT p.relname AS parent, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE p.oid IN ('bodies'::regclass, 'body_keys'::regclass) AND c.relname ~ '_[0-9]{8}$'
    AND to_date(right(c.relname, 8), 'YYYYMMDD') <= (now() AT TIME ZONE 'UTC')::date
ORDER BY 2, 1
"""

# A week: a request that stays paused is not moved every night.
_STAYING: Final = """
SELECT l.id, l.body_expires_on AS day, r.idempotency_key, r.project_id, r.mode,
    ((greatest(l.deadline, clock_timestamp()) + interval '7 d') AT TIME ZONE 'UTC')::date + 1
        AS new_day
FROM live l JOIN requests r USING (id)
WHERE l.body_expires_on <= (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date)
    AND l.state IN ('queued', 'retrying') AND l.id > $1
ORDER BY l.id LIMIT $2
"""

# In the lock order: keys, then live rows by id, then what only the holder of a live row writes.
_MOVE_KEYS: Final = """
WITH mine AS MATERIALIZED (
    SELECT k.project_id, k.mode, k.key, u.new_day FROM idempotency_keys k
    JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[])
        AS u (request_id, project_id, mode, key, new_day)
        ON k.project_id = u.project_id AND k.mode = u.mode AND k.key = u.key
            AND k.request_id = u.request_id
    ORDER BY 1, 2, 3 FOR UPDATE OF k
)
UPDATE idempotency_keys k SET expires_on = m.new_day
FROM mine m WHERE k.project_id = m.project_id AND k.mode = m.mode AND k.key = m.key
"""

_MOVE_LIVE: Final = """
WITH mine AS MATERIALIZED (
    SELECT l.id, u.new_day FROM live l
    JOIN unnest($1::text[], $2::date[], $3::date[]) AS u (id, day, new_day) ON l.id = u.id
    WHERE l.id = ANY($1) AND l.body_expires_on = u.day AND l.state IN ('queued', 'retrying')
    ORDER BY l.id FOR UPDATE OF l SKIP LOCKED
)
UPDATE live l SET body_expires_on = m.new_day FROM mine m WHERE l.id = m.id
RETURNING l.id
"""

_FOLLOW: Final = (
    """
UPDATE requests r SET body_expires_on = u.new_day
FROM unnest($1::text[], $2::date[], $3::date[]) AS u (id, day, new_day)
WHERE r.id = u.id AND r.body_expires_on = u.day
""",
    """
UPDATE bodies b SET expires_on = u.new_day
FROM unnest($1::text[], $2::date[], $3::date[]) AS u (id, day, new_day)
WHERE b.expires_on = ANY($2) AND b.request_id = ANY($1)
    AND b.request_id = u.id AND b.expires_on = u.day
""",
    """
UPDATE body_keys b SET expires_on = u.new_day
FROM unnest($1::text[], $2::date[], $3::date[]) AS u (id, day, new_day)
WHERE b.expires_on = ANY($2) AND b.request_id = ANY($1)
    AND b.request_id = u.id AND b.expires_on = u.day
""",
)


_DROP: Final = "SELECT drop_body_partition_v1($1, $2)"


class Partition(NamedTuple):
    """One day of `bodies` or `body_keys`."""

    parent: str
    day: date


class Purged(msgspec.Struct, frozen=True):
    """How many rows went, requests whose bodies moved on, and days that were dropped.

    `requests`: whose records went.
    """

    nonces: int = 0
    idempotency_keys: int = 0
    cooldowns: int = 0
    moved: int = 0
    partitions: int = 0
    requests: int = 0


async def purge(database: Database, retirement: Retirement) -> Purged:
    """One round of everything, bounded; the rest is there in the next one. Raises LedgerAway."""
    nonces = await _repeat(database, _purge_nonces)
    keys = await _repeat(database, _purge_keys)
    cooldowns = await _repeat(database, _purge_cooldowns)
    expired = await database.run(_find_expired)
    moved = await _move_all(database) if expired else 0
    dropped = [await database.run(partial(_drop, partition=one)) for one in expired]
    return Purged(
        nonces=nonces,
        idempotency_keys=keys,
        cooldowns=cooldowns,
        moved=moved,
        partitions=sum(dropped),
        requests=await retirement.go_on(),
    )


async def _repeat(database: Database, work: Callable[[Connection], Awaitable[int]]) -> int:
    total = 0
    for _ in range(ROUNDS):
        gone = await database.run(work)
        total += gone
        if gone < LIMIT:
            break
    return total


async def _purge_nonces(connection: Connection) -> int:
    gone: int = await connection.fetchval(_NONCES, LIMIT)
    return gone


async def _purge_keys(connection: Connection) -> int:
    gone: int = await connection.fetchval(_KEYS, LIMIT)
    return gone


async def _purge_cooldowns(connection: Connection) -> int:
    gone: int = await connection.fetchval(_COOLDOWNS, LIMIT)
    return gone


async def _find_expired(connection: Connection) -> list[Partition]:
    return [Partition(row["parent"], row["day"]) for row in await connection.fetch(_EXPIRED)]


async def _move_all(database: Database) -> int:
    last: str | None = ""
    moved = 0
    for _ in range(ROUNDS):
        if last is None:
            break
        some, last = await database.run(partial(_move, after=last))
        moved += some
    return moved


async def _move(connection: Connection, after: str) -> tuple[int, str | None]:
    """Move some; how many, and the id to go on after: None once there are no more."""
    rows = await connection.fetch(_STAYING, after, MOVES)
    if not rows:
        return 0, None
    async with connection.transaction():
        await _move_keys(connection, [row for row in rows if row["idempotency_key"] is not None])
        moved = {row["id"] for row in await connection.fetch(_MOVE_LIVE, *_days(rows))}
        for statement in _FOLLOW:
            await connection.execute(statement, *_days([row for row in rows if row["id"] in moved]))
    return len(moved), rows[-1]["id"]


async def _move_keys(connection: Connection, rows: Sequence[asyncpg.Record]) -> None:
    names = ("id", "project_id", "mode", "idempotency_key", "new_day")
    await connection.execute(_MOVE_KEYS, *([row[name] for row in rows] for name in names))


def _days(rows: Sequence[asyncpg.Record]) -> list[list[object]]:
    return [[row[name] for row in rows] for name in ("id", "day", "new_day")]


async def _drop(connection: Connection, partition: Partition) -> bool:
    """False where an open request still needs it, or others do not let go of it at once."""
    try:
        dropped: bool = await connection.fetchval(_DROP, *partition)
    except asyncpg.LockNotAvailableError:
        return False
    return dropped
