"""Counters: where an account stands against its limits, by the numbers that enforce them."""

from datetime import datetime
from typing import Final

import msgspec

from libs.ledger.connection import Connection

# As accept counts: a period that is over counts as zero (migrations/sql/0004_accept.sql).
_STATEMENT: Final = """
WITH clock AS MATERIALIZED (
    SELECT date_trunc('month', clock_timestamp(), 'UTC') AS month
)
SELECT coalesce(max(c.pending) FILTER (WHERE c.mode = 'live'), 0) AS pending,
    coalesce(max(c.pending) FILTER (WHERE c.mode = 'test'), 0) AS pending_test,
    coalesce(max(c.accepted) FILTER (
        WHERE c.mode = 'live' AND c.period = (k.month AT TIME ZONE 'UTC')::date
    ), 0) AS accepted,
    (k.month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' AS resets_at
FROM clock k LEFT JOIN account_counters c ON c.account_id = $1
GROUP BY k.month
"""


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Open live and test requests, live ones accepted this month (UTC), and when it is over."""

    pending: int
    pending_test: int
    accepted: int
    resets_at: datetime


async def read_counters(connection: Connection, account_id: str) -> Counters:
    """Zeros for an account that has never sent anything."""
    row = await connection.fetchrow(_STATEMENT, account_id)
    assert row is not None  # noqa: S101  # one month, one row
    return Counters(**dict(row))
