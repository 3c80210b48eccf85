"""Stats: a project's numbers for a range of hours or days, and what is open now.

What has ended comes from the roll-ups; whole days inside a range of hours from those of days, where
only their sum is asked for. Open requests are counted up to a bound, the oldest first, by the index
of lists and by who is to be looked at soon (libs/ledger/pause.py).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import msgspec

from libs.ledger.connection import Connection
from libs.ledger.pause import HELD, LISTED
from libs.ledger.states import State

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

_STEPS: Final = """
SELECT starts_at, completed, failed, cancelled, repeated, attempts, prompt_tokens,
    completion_tokens, waiting_ms, provider_ms, latencies
FROM rollups
WHERE project_id = $1 AND mode = $2 AND step = $3 AND starts_at >= $4 AND starts_at < $5
ORDER BY starts_at
"""

_MODELS: Final = """
SELECT m.model, sum(m.requests)::bigint AS requests, sum(m.prompt_tokens)::bigint AS prompt_tokens,
    sum(m.completion_tokens)::bigint AS completion_tokens
FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) AS s (step, low, high)
CROSS JOIN LATERAL (
    SELECT * FROM model_rollups m
    WHERE m.project_id = $1 AND m.mode = $2 AND m.step = s.step
        AND m.starts_at >= s.low AND m.starts_at < s.high
    OFFSET 0
) m
GROUP BY m.model ORDER BY (m.model = ''), 2 DESC, 1 LIMIT $6
"""


def _listed(columns: str, limit: str) -> str:
    """What waits of one state `s.state`, the oldest first."""
    return f"""
        SELECT {columns} FROM live r
        WHERE r.project_id = $1 AND r.mode = $2 AND r.state = s.state AND {LISTED}
        ORDER BY r.project_id, r.mode, r.state, r.id LIMIT {limit}
    """


# Ids sort by creation, so the least one is the oldest's.
_OPEN: Final = f"""
WITH found AS MATERIALIZED (
    SELECT r.state, count(*) AS n, min(r.id) AS oldest FROM live r
    WHERE r.project_id = $1 AND r.mode = $2 AND {HELD}
    GROUP BY 1
    UNION ALL
    SELECT s.state, w.n, o.id FROM unnest($3::text[]) AS s (state)
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM ({_listed("", "$4")}) w) w
    CROSS JOIN LATERAL ({_listed("r.id", "1")}) o
), counted AS MATERIALIZED (
    SELECT f.state, least(sum(f.n), $4)::bigint AS n, min(f.oldest) AS oldest
    FROM found f GROUP BY 1
)
SELECT c.state, c.n, l.created_at AS oldest_created_at FROM counted c JOIN live l ON l.id = c.oldest
"""

_COUNTED_UNTIL: Final = """
SELECT least(min(u.created_at), clock_timestamp()) FROM uncounted_v1(1) u
"""

_OPEN_STATES: Final = (State.QUEUED.value, State.PROCESSING.value, State.RETRYING.value)


class StatsRange(msgspec.Struct, frozen=True, kw_only=True):
    """Whole steps in UTC, `low` included, `high` not. `step`: `hour` or `day`."""

    project_id: str
    mode: str
    step: str
    low: datetime
    high: datetime


class StepTally(msgspec.Struct, frozen=True, kw_only=True):
    """What ended in one step; `latencies`: how many took how long (latency_bucket_v1)."""

    starts_at: datetime
    completed: int
    failed: int
    cancelled: int
    repeated: int
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    waiting_ms: int
    provider_ms: int
    latencies: list[int]


class ModelSum(msgspec.Struct, frozen=True, kw_only=True):
    """What ended of one model; the empty name stands for all that have no row of their own."""

    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int


class OpenCount(msgspec.Struct, frozen=True, kw_only=True):
    """Open requests of one state."""

    state: State
    n: int
    oldest_created_at: datetime | None


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """`steps`: those in which something ended. `counted_until`: what became true before is in."""

    steps: Sequence[StepTally]
    models: Sequence[ModelSum]
    open: Sequence[OpenCount]
    counted_until: datetime


class StatsLimits(NamedTuple):
    """The most models to name, and open requests of a state to count."""

    models: int
    open: int


async def read_stats(connection: Connection, of: StatsRange, limits: StatsLimits) -> Stats:
    """To be planned each time: how much a range holds is for the planner to see."""
    who = (of.project_id, of.mode)
    # How far was counted is read first: what is counted meanwhile makes it truer.
    counted_until = await connection.fetchval(_COUNTED_UNTIL)
    steps = await connection.fetch(_STEPS, *who, of.step, of.low, of.high)
    models = await connection.fetch(_MODELS, *who, *_columns(spans(of)), limits.models)
    opened = await connection.fetch(_OPEN, *who, _OPEN_STATES, limits.open)
    return Stats(
        steps=[StepTally(**dict(row)) for row in steps],
        models=[ModelSum(**dict(row)) for row in models],
        open=[_open_count(row) for row in opened],
        counted_until=counted_until,
    )


def spans(of: StatsRange) -> list[tuple[str, datetime, datetime]]:
    """The range as few rows as cover it: whole days, and the hours before and after them."""
    if of.step == "day":
        return [("day", of.low, of.high)]
    first = _midnight(of.low + DAY - HOUR)
    last = _midnight(of.high)
    if first >= last:
        return [("hour", of.low, of.high)]
    return [("hour", of.low, first), ("day", first, last), ("hour", last, of.high)]


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _columns(of: Sequence[tuple[str, datetime, datetime]]) -> list[list[object]]:
    return [[span[n] for span in of] for n in range(3)]


def _open_count(row: asyncpg.Record) -> OpenCount:
    return OpenCount(
        state=State(row["state"]), n=row["n"], oldest_created_at=row["oldest_created_at"]
    )
