"""Give back: return claims that were never sent, without an attempt row."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from libs.ledger.connection import Connection

_STATEMENT: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
mine AS MATERIALIZED (
    SELECT l.id, u.seconds FROM live l
    JOIN unnest($1::text[], $2::integer[], $3::float8[]) AS u (id, fence, seconds) ON l.id = u.id
    WHERE l.id = ANY($1) AND l.fence = u.fence AND l.state = 'processing'
    ORDER BY l.id FOR UPDATE OF l
), back AS (
    UPDATE live l
    SET state = CASE WHEN l.attempts = 1 THEN 'queued' ELSE 'retrying' END,
        attempts = l.attempts - 1,
        not_before = (SELECT t FROM clock) + make_interval(secs => m.seconds),
        due_at = l.deadline, slot_at = NULL, lease_owner = NULL, lease_until = NULL, sent_at = NULL,
        started_at = NULL, updated_at = (SELECT t FROM clock)
    FROM mine m WHERE l.id = m.id AND l.id = ANY($1)
    RETURNING l.id, l.project_id, l.mode
), counter AS MATERIALIZED (
    SELECT b.project_id, b.mode, b.n
    FROM (SELECT project_id, mode, count(*) AS n FROM back GROUP BY 1, 2 ORDER BY 1, 2) b
    CROSS JOIN LATERAL (
        SELECT FROM project_counters c WHERE c.project_id = b.project_id AND c.mode = b.mode
        OFFSET 0 FOR UPDATE
    ) c
), settled AS (
    UPDATE project_counters c SET slots = c.slots - k.n
    FROM counter k
    WHERE c.project_id = k.project_id AND c.mode = k.mode
        AND c.project_id = ANY(ARRAY(SELECT project_id FROM counter))
)
SELECT id FROM back
"""


class GiveBack(msgspec.Struct, frozen=True):
    """A claim to return. `pause`: how long nobody shall take it (zero at a shutdown)."""

    request_id: str
    fence: int
    pause: timedelta


async def give_back(connection: Connection, items: Sequence[GiveBack]) -> set[str]:
    """Return all; answers the ids that were still ours to return."""
    rows = await connection.fetch(
        _STATEMENT,
        [item.request_id for item in items],
        [item.fence for item in items],
        [item.pause.total_seconds() for item in items],
    )
    return {row["id"] for row in rows}
