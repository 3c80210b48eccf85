"""Renew: keep what is running ours, all leases of an executor in one statement."""

from collections.abc import Sequence
from typing import Final

import msgspec

from libs.ledger.claim import LEASE
from libs.ledger.connection import Connection

# It applies whatever `lease_until` says: a lease that ran out and was not taken is ours again.
_STATEMENT: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
mine AS MATERIALIZED (
    SELECT l.id FROM live l JOIN unnest($1::text[], $2::integer[]) AS u (id, fence) ON l.id = u.id
    WHERE l.id = ANY($1) AND l.fence = u.fence AND l.state = 'processing'
    ORDER BY l.id FOR UPDATE OF l {locked}
)
UPDATE live l
SET lease_until = (SELECT t FROM clock) + $3::interval,
    due_at = (SELECT t FROM clock) + $3::interval
FROM mine m WHERE l.id = m.id AND l.id = ANY($1)
RETURNING l.id
"""
_FREE: Final = _STATEMENT.format(locked="SKIP LOCKED")
_EXACT: Final = _STATEMENT.format(locked="")


class Lease(msgspec.Struct, frozen=True):
    """A running attempt and the fence it was claimed with."""

    request_id: str
    fence: int


async def renew(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """Renew all; answers the ids that are still ours. Only a missing id means a lost lease."""
    return await _renew(connection, _EXACT, leases)


async def renew_free(connection: Connection, leases: Sequence[Lease]) -> set[str]:
    """As `renew`, but of rows that somebody has locked nothing is known: their ids are missing."""
    return await _renew(connection, _FREE, leases)


async def _renew(connection: Connection, statement: str, leases: Sequence[Lease]) -> set[str]:
    rows = await connection.fetch(
        statement,
        [lease.request_id for lease in leases],
        [lease.fence for lease in leases],
        LEASE,
    )
    return {row["id"] for row in rows}
