"""Upkeep: partitions made in time, and the checks whose answers must read 0."""

from typing import Final

import asyncpg
import msgspec

from libs.ledger.connection import Connection
from libs.ledger.states import State

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


# One scan of what is open. `age` counts the limits of AGES that have passed.
_BACKLOG: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
counted AS MATERIALIZED (
    SELECT l.state,
        width_bucket(extract(epoch FROM (SELECT t FROM clock) - l.created_at)::float8, $1) AS age,
        count(*) AS requests,
        count(*) FILTER (
            WHERE l.state <> 'processing' AND l.slot_at IS NOT NULL
                AND l.not_before <= (SELECT t FROM clock)
        ) AS workable
    FROM live l GROUP BY 1, 2
)
SELECT
    coalesce((SELECT json_agg(c) FROM counted c), '[]')::text AS groups,
    coalesce((SELECT sum(workable) FROM counted), 0)::bigint AS workable,
    coalesce((SELECT max(pending) FROM account_counters), 0) AS largest_account,
    pg_database_size(current_database()) AS size
"""

AGES: Final = (60.0, 600.0, 3_600.0, 86_400.0)
"""Seconds. Limits between the groups of `Backlog`: five ages, from under a minute to over a day."""


class Group(msgspec.Struct, frozen=True):
    """Open requests of one state. `age`: how many of AGES have passed since they were accepted."""

    state: State
    age: int
    requests: int


class Backlog(msgspec.Struct, frozen=True):
    """What is open. `workable`: those that a free executor could begin now.

    `largest_account`: open requests of whoever has the most. `size`: bytes of the whole database.
    """

    groups: list[Group]
    workable: int
    largest_account: int
    size: int


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


async def measure_backlog(connection: Connection) -> Backlog:
    """How much is open, and how old; groups of nobody are absent."""
    row = await connection.fetchrow(_BACKLOG, AGES)
    assert row is not None  # noqa: S101  # as above
    groups = msgspec.json.decode(row["groups"], type=list[Group])
    return Backlog(groups, row["workable"], row["largest_account"], row["size"])
