"""Roll up: count what has ended by hour and by day (migrations/sql/0005_roll_up.sql says how).

The queue is the outbox: each final request is in it, written by the transaction that ended it, and
the hot path pays nothing more. What is counted is noted in the transaction that counts, so that any
number of dispatchers may count and die at any point.

`UNCOUNTED` is the condition under which a row of the outbox must stay.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import msgspec

from libs.common.crash_points import crash_point
from libs.ledger.connection import Connection, Database

LIMIT: Final = 128
"""Rows of the outbox a transaction; each tells of one finish batch at the most."""
ROUNDS: Final = 100
KEPT: Final = timedelta(days=400)
FORGOTTEN_TOGETHER: Final = 1_000

UNCOUNTED: Final = """
NOT EXISTS (
    SELECT FROM rollup_progress p WHERE outbox.id < p.floor OR outbox.id <@ p.taken
)
"""

_ROLL_UP: Final = "SELECT roll_up_v1($1)"

_LAG: Final = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(u.created_at)), 0)::float8
FROM uncounted_v1(1) u
"""

_TABLES: Final = ("rollups", "model_rollups")
_FORGET_OLD: Final = """
WITH gone AS (
    DELETE FROM {0} WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM {0} WHERE starts_at < (SELECT clock_timestamp() - $1::interval)
        ORDER BY starts_at LIMIT $2
    )) RETURNING 1
)
SELECT count(*) FROM gone
"""
_FORGET_PROJECT: Final = """
WITH gone AS (
    DELETE FROM {0} WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM {0} WHERE project_id = $1 LIMIT $2
    )) RETURNING 1
)
SELECT count(*) FROM gone
"""


class RolledUp(msgspec.Struct, frozen=True):
    """`counted`: rows of the outbox. `has_more`: there was no end to them.

    `lag_seconds`: how long ago the oldest fact became true that is not counted yet.
    """

    counted: int
    has_more: bool
    lag_seconds: float


async def roll_up(database: Database) -> RolledUp:
    """Count what is there, in bounded steps. Raises LedgerAway."""
    counted = some = 0
    for _ in range(ROUNDS):
        some = await database.run(_step)
        counted += some
        if some < LIMIT:
            break
    lag: float = await database.run(lambda connection: connection.fetchval(_LAG))
    return RolledUp(counted, some == LIMIT, lag)


async def forget_old(database: Database) -> int:
    """Remove what was rolled up more than 400 days ago; answers how many rows. Raises LedgerAway.

    Bounded; the rest goes in the next round.
    """
    return await _forget(database, _FORGET_OLD, KEPT)


async def forget_project(database: Database, project_id: str) -> int:
    """Remove a project's roll-ups, once all of it has ended and is counted. Raises LedgerAway."""
    return await _forget(database, _FORGET_PROJECT, project_id)


async def _step(connection: Connection) -> int:
    """How many rows of the outbox were counted; none where somebody else counts just now."""
    async with connection.transaction():
        counted: int | None = await connection.fetchval(_ROLL_UP, LIMIT)
        if counted:
            crash_point("roll_up.before_commit")
    if counted:
        crash_point("roll_up.after_commit")
    return counted or 0


async def _forget(database: Database, statement: str, which: object) -> int:
    total = 0
    for table in _TABLES:
        total += await _repeat(database, _deleting(statement.format(table), which))
    return total


def _deleting(statement: str, which: object) -> Callable[[Connection], Awaitable[int]]:
    async def delete(connection: Connection) -> int:
        gone: int = await connection.fetchval(statement, which, FORGOTTEN_TOGETHER)
        return gone

    return delete


async def _repeat(database: Database, work: Callable[[Connection], Awaitable[int]]) -> int:
    total = 0
    for _ in range(ROUNDS):
        gone = await database.run(work)
        total += gone
        if gone < FORGOTTEN_TOGETHER:
            break
    return total
