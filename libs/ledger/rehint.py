"""Hint again: a hint is only a hint, so a slot that nobody claimed in time gets another one."""

from datetime import timedelta
from typing import Final

from libs.ledger.accept import FIRST_SLOTS, Hint
from libs.ledger.connection import Connection

LIMIT: Final = 200
ALL_DUE_LIMIT: Final = 5_000
HORIZON: Final = timedelta(minutes=10)
"""Later than this no held slot is due, unless it is leased."""

_AGAIN: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
due AS MATERIALIZED (
    SELECT l.id, c.slots
    FROM live l
    CROSS JOIN LATERAL (
        SELECT c.slots FROM project_counters c
        WHERE c.project_id = l.project_id AND c.mode = l.mode
        OFFSET 0
    ) c
    WHERE l.due_at <= (SELECT t FROM clock) AND l.slot_at IS NOT NULL
        AND l.state IN ('queued', 'retrying') AND l.deadline > (SELECT t FROM clock)
    ORDER BY l.due_at LIMIT $1 FOR UPDATE OF l SKIP LOCKED
)
UPDATE live l
SET due_at = least(l.deadline, (SELECT t FROM clock) + least(
    greatest((SELECT t FROM clock) - l.slot_at, interval '5 s'), interval '60 s'))
FROM due d
WHERE l.id = d.id AND l.id = ANY(ARRAY(SELECT id FROM due))
RETURNING l.id, d.slots
"""

# What holds a slot and is in nobody's hands: at most the sum of all running limits, and due within
# a minute. The walk goes up in time: what another dispatcher hints meanwhile holds it up once.
_ALL_DUE: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t),
unleased AS MATERIALIZED (
    SELECT id, due_at FROM live
    WHERE due_at >= $1 AND (due_at, id) > ($1, $2) AND due_at < $3 AND slot_at IS NOT NULL
        AND state IN ('queued', 'retrying')
    ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
),
updated AS (
    UPDATE live l SET due_at = least(l.deadline, (SELECT t FROM clock))
    FROM unleased u WHERE l.id = u.id
)
SELECT due_at, id FROM unleased ORDER BY due_at DESC, id DESC LIMIT 1
"""


async def rehint(connection: Connection) -> list[Hint]:
    """The hints to publish again; the next look at each comes later each time, 5 to 60 s."""
    rows = await connection.fetch(_AGAIN, LIMIT)
    return [Hint(row["id"], row["slots"] <= FIRST_SLOTS) for row in rows]


async def make_all_due(connection: Connection) -> None:
    """After a broker came back, perhaps empty: look at every hint again now.

    A batch a statement, each its own transaction: what is done stays done if a later one fails.
    """
    now = await connection.fetchval("SELECT clock_timestamp()")
    last = (now, "")
    while row := await connection.fetchrow(_ALL_DUE, *last, now + HORIZON, ALL_DUE_LIMIT):
        last = row["due_at"], row["id"]
