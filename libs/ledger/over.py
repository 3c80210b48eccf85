"""Over: how many rows are past their window (libs/common/retention.py) and still there.

The dispatcher's upkeep removes them every minute, so what stays for long says that nobody does.
"""

from typing import Final

from libs.common import retention
from libs.common.ids import lowest_id
from libs.ledger.connection import Connection

MOST: Final = 1_000
"""Of one project no more are counted: that is much, whatever the number."""

_COUNTS: Final = """
SELECT
    (SELECT count(*) FROM nonces n WHERE n.expires_at <= clock_timestamp()) AS nonces,
    (SELECT count(*) FROM idempotency_keys k WHERE k.expires_on <= $1::date) AS idempotency_keys,
    (SELECT count(*) FROM cooldowns c WHERE c.until <= clock_timestamp()) AS cooldowns,
    (SELECT count(*) FROM outbox o WHERE o.sent_at < clock_timestamp() - $2::interval) AS outbox,
    (SELECT count(*) FROM rollups r WHERE r.starts_at < clock_timestamp() - $3::interval)
        AS rollups,
    (SELECT count(*) FROM model_rollups r WHERE r.starts_at < clock_timestamp() - $3::interval)
        AS model_rollups
"""

# Days, each a table of its own that is dropped whole.
_DAYS: Final = """
SELECT p.relname AS parent, count(*) AS days
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE p.oid IN ('bodies'::regclass, 'body_keys'::regclass) AND c.relname ~ '_[0-9]{8}$'
    AND to_date(right(c.relname, 8), 'YYYYMMDD') <= (now() AT TIME ZONE 'UTC')::date
GROUP BY 1
"""

_TODAY: Final = "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date"

_WINDOWS: Final = """
SELECT c.project_id, c.mode,
    clock_timestamp() - make_interval(secs => c.metadata_seconds) AS kept_since
FROM project_counters c
"""

_RECORDS: Final = f"""
SELECT coalesce(sum(n), 0)::bigint FROM unnest($1::text[], $2::text[], $3::text[])
    AS w (project_id, mode, bound)
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (
        SELECT FROM requests r WHERE r.project_id = w.project_id AND r.mode = w.mode
            AND r.id < w.bound AND r.body_expires_on <= $4
        LIMIT {MOST}
    ) old
) counted
"""


async def count_over(connection: Connection) -> dict[str, int]:
    """By table; of `bodies` and `body_keys` the days."""
    today = await connection.fetchval(_TODAY)
    counts = await connection.fetchrow(_COUNTS, today, retention.OUTBOX, retention.ROLLUPS)
    days = {row["parent"]: row["days"] for row in await connection.fetch(_DAYS)}
    windows = await connection.fetch(_WINDOWS)
    records: int = await connection.fetchval(
        _RECORDS,
        [row["project_id"] for row in windows],
        [row["mode"] for row in windows],
        [lowest_id("rr", row["kept_since"]) for row in windows],
        today,
    )
    none = {"bodies": 0, "body_keys": 0}
    return {"requests": records, **none, **days, **dict(counts or {})}
