"""Upkeep: partitions made in time, and the checks whose answers must read 0."""

from typing import Final

import asyncpg
import msgspec

from libs.ledger.connection import Connection

PARTITION_DAYS: Final = 60
"""How far ahead: the longest retention (30 days), the longest deadline (7), and spare time."""

_DRIFT: Final = """
SELECT
    (SELECT count(*) FROM (
        SELECT account_id, mode, count(*) AS n FROM live GROUP BY 1, 2
    ) l FULL JOIN account_counters c USING (account_id, mode)
    WHERE coalesce(l.n, 0) <> coalesce(c.pending, 0)) AS pending,
    (SELECT count(*) FROM (
        SELECT project_id, mode, count(*) AS n FROM live WHERE slot_at IS NOT NULL GROUP BY 1, 2
    ) l FULL JOIN project_counters c USING (project_id, mode)
    WHERE coalesce(l.n, 0) <> coalesce(c.slots, 0)) AS slots,
    (SELECT count(*) FROM bodies_default) + (SELECT count(*) FROM body_keys_default) AS strays
"""

_OVERDUE: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t)
SELECT
    count(*) FILTER (WHERE due_at < (SELECT t FROM clock) - interval '10 min') AS forgotten,
    extract(epoch FROM (SELECT t FROM clock) - min(due_at))::float8 AS oldest_seconds
FROM (SELECT due_at FROM live WHERE due_at < (SELECT t FROM clock) ORDER BY due_at LIMIT 10000) late
"""


class Drift(msgspec.Struct, frozen=True):
    """Counters that differ from the rows they count, and bodies outside their day: all zero."""

    pending: int
    slots: int
    strays: int


class Overdue(msgspec.Struct, frozen=True):
    """Rows more than ten minutes past their due time (zero), and the age of the oldest, seconds."""

    forgotten: int
    oldest_seconds: float


async def make_partitions(connection: Connection) -> int:
    """Create the body partitions that are still missing; answers how many.

    None where others do not let go of the tables at once: they go first, there are weeks left.
    """
    try:
        made: int = await connection.fetchval("SELECT make_body_partitions_v3($1)", PARTITION_DAYS)
    except asyncpg.LockNotAvailableError:
        return 0
    return made


async def measure_drift(connection: Connection) -> Drift:
    """Compare counters and rows in one snapshot."""
    row = await connection.fetchrow(_DRIFT)
    assert row is not None  # noqa: S101  # an aggregate without GROUP BY always has one row
    return Drift(row["pending"], row["slots"], row["strays"])


async def measure_overdue(connection: Connection) -> Overdue:
    """How late the latest row is."""
    row = await connection.fetchrow(_OVERDUE)
    assert row is not None  # noqa: S101  # as above
    return Overdue(row["forgotten"], row["oldest_seconds"] or 0.0)
