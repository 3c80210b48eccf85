"""Claim: take attempts, many hints in one statement (migrations/sql/0004_claim.sql says how).

Two hints make one attempt: only a row that holds a slot, is due and is not leased is taken, and the
fence goes up. A request whose provider connection is cooling down is sent back without an attempt.
One hint alone has a statement of its own (0013_alone.sql, decision 0032).
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from libs.common.crash_points import crash_point
from libs.ledger.connection import Connection

LEASE: Final = timedelta(seconds=15)

_STATEMENT: Final = "SELECT * FROM claim_v1($1, $2, $3)"
_ALONE: Final = "SELECT * FROM claim_one_v1($1, $2, $3)"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is ours until the lease ends.

    `body`, sealed, and `body_key`: None if they are gone.
    """

    request_id: str
    account_id: str
    project_id: str
    mode: str
    endpoint: str
    model: str
    connection_id: str
    fence: int
    attempt: int
    counted: int
    timeouts: int
    max_attempts: int
    call_timeout: timedelta
    fails_on_unknown: bool
    body_expires_on: date
    created_at: datetime
    claimed_at: datetime
    waited: timedelta
    body: bytes | None = None
    body_key: bytes | None = None


async def claim(connection: Connection, owner: str, ids: Sequence[str]) -> list[Claim]:
    """Claim what can be claimed of `ids`; the rest is finished, leased, early or has no slot."""
    crash_point("claim.before_commit")
    wanted = sorted(set(ids))
    if len(wanted) == 1:
        rows = await connection.fetch(_ALONE, wanted[0], owner, LEASE)
    else:
        rows = await connection.fetch(_STATEMENT, wanted, owner, LEASE)
    crash_point("claim.after_commit")
    return [_claim(row) for row in rows]


def _claim(row: asyncpg.Record) -> Claim:
    return Claim(
        request_id=row["id"],
        account_id=row["account_id"],
        project_id=row["project_id"],
        mode=row["mode"],
        endpoint=row["endpoint"],
        model=row["model"],
        connection_id=row["connection_id"],
        fence=row["fence"],
        attempt=row["attempts"],
        counted=row["counted"],
        timeouts=row["timeouts"],
        max_attempts=row["max_attempts"],
        call_timeout=timedelta(seconds=row["call_timeout"]),
        fails_on_unknown=row["fails_on_unknown"],
        body_expires_on=row["body_expires_on"],
        created_at=row["created_at"],
        claimed_at=row["started_at"],
        waited=row["started_at"] - row["not_before"],
        body=row["body"],
        body_key=row["body_key"],
    )
