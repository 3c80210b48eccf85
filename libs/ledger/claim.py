"""Claim: take attempts, many hints in one statement.

Two hints make one attempt: only a row that holds a slot, is due and is not leased is taken, and the
fence goes up. A request whose provider connection is cooling down is sent back without an attempt.
The bodies are read by a second statement that names their days: it touches only the partitions it
needs, where a join inside the claim would plan over all of them (decision 0006).
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from libs.ledger.connection import Connection

LEASE: Final = timedelta(seconds=15)

_CLAIM: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
picked AS MATERIALIZED (
    SELECT l.id, c.until
    FROM live l
    LEFT JOIN cooldowns c ON c.connection_id = l.connection_id AND c.model = l.model
        AND c.until > (SELECT t FROM clock)
    WHERE l.id = ANY($1) AND l.slot_at IS NOT NULL AND l.state IN ('queued', 'retrying')
        AND l.not_before <= (SELECT t FROM clock) AND l.deadline > (SELECT t FROM clock)
    ORDER BY l.id
    FOR UPDATE OF l SKIP LOCKED
), cooled AS (
    UPDATE live l
    SET not_before = p.until + random() * interval '1 s', slot_at = NULL, due_at = l.deadline,
        updated_at = (SELECT t FROM clock)
    FROM picked p WHERE l.id = p.id AND l.id = ANY($1) AND p.until IS NOT NULL
    RETURNING l.project_id, l.mode
), freed AS (
    SELECT project_id, mode, count(*) AS n FROM cooled GROUP BY 1, 2
), counter AS MATERIALIZED (
    SELECT c.project_id, c.mode, f.n FROM project_counters c JOIN freed f USING (project_id, mode)
    ORDER BY 1, 2 FOR UPDATE OF c
), settled AS (
    UPDATE project_counters c SET slots = c.slots - k.n
    FROM counter k WHERE c.project_id = k.project_id AND c.mode = k.mode
)
UPDATE live l
SET state = 'processing', fence = l.fence + 1, attempts = l.attempts + 1, lease_owner = $2,
    lease_until = (SELECT t FROM clock) + $3::interval,
    due_at = (SELECT t FROM clock) + $3::interval,
    started_at = (SELECT t FROM clock), sent_at = (SELECT t FROM clock),
    updated_at = (SELECT t FROM clock)
FROM picked p WHERE l.id = p.id AND l.id = ANY($1) AND p.until IS NULL
RETURNING l.id, l.account_id, l.project_id, l.mode, l.endpoint, l.model, l.connection_id,
    l.fence, l.attempts, l.counted, l.timeouts, l.max_attempts, l.call_timeout,
    l.fails_on_unknown, l.body_expires_on, l.created_at, l.started_at, l.not_before
"""

_BODIES: Final = """
SELECT b.request_id, b.content, k.secret
FROM bodies b JOIN body_keys k USING (request_id, expires_on)
WHERE b.expires_on = ANY($1) AND b.request_id = ANY($2) AND b.kind = 'request' AND b.number = 0
    AND k.expires_on = ANY($1) AND k.request_id = ANY($2)
"""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is ours until the lease ends.

    `body`, sealed, and `body_key`: None until added, or if they are gone.
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
    rows = await connection.fetch(_CLAIM, sorted(set(ids)), owner, LEASE)
    return [_claim(row) for row in rows]


async def add_bodies(connection: Connection, claims: Sequence[Claim]) -> list[Claim]:
    """The same claims with their bodies."""
    rows = await connection.fetch(
        _BODIES,
        list({claim.body_expires_on for claim in claims}),
        [claim.request_id for claim in claims],
    )
    found = {row["request_id"]: row for row in rows}
    return [_with_body(claim, found.get(claim.request_id)) for claim in claims]


def _with_body(claim: Claim, row: asyncpg.Record | None) -> Claim:
    if row is None:
        return claim
    return msgspec.structs.replace(claim, body=row["content"], body_key=row["secret"])


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
    )
