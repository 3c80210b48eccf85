"""Counters: where an account stands against its limits, by the numbers that enforce them."""

from datetime import datetime
from typing import Final

import msgspec

from libs.common import periods
from libs.ledger.connection import Connection

# As accept counts: a period that is over counts as zero (migrations/sql/0007_accept.sql).
_STATEMENT: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT coalesce(max(c.pending) FILTER (WHERE c.mode = 'live'), 0) AS pending,
    coalesce(max(c.pending) FILTER (WHERE c.mode = 'test'), 0) AS pending_test,
    coalesce(max(c.accepted) FILTER (
        WHERE c.mode = 'live' AND c.period >= period_start_v1($2, k.now)
    ), 0) AS accepted,
    k.now
FROM clock k LEFT JOIN account_counters c ON c.account_id = $1
GROUP BY k.now
"""


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Open live and test requests, live ones accepted in this period, and when it is over."""

    pending: int
    pending_test: int
    accepted: int
    resets_at: datetime


async def read_counters(connection: Connection, account_id: str, anchor_day: int) -> Counters:
    """Zeros for an account that has never sent anything. `anchor_day`: libs/common/periods.py."""
    row = await connection.fetchrow(_STATEMENT, account_id, anchor_day)
    assert row is not None  # noqa: S101  # one clock, one row
    return Counters(
        pending=row["pending"],
        pending_test=row["pending_test"],
        accepted=row["accepted"],
        resets_at=periods.resets_at(anchor_day, row["now"]),
    )
