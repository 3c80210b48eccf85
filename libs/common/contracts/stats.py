"""What gateways answer about a project's numbers: hour by hour or day by day, in UTC."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from libs.common.contracts.gateway import Mode, Moment

MAX_HOURS: Final = 31 * 24
MAX_DAYS: Final = 400
TOP_MODELS: Final = 20
MAX_OPEN_COUNTED: Final = 10_000
"""Open requests of one state that are counted; more are told as so many."""

Step = Literal["hour", "day"]


def stats_path(project_id: str) -> str:
    """`GET` with a StatsQuestion as the query answers StatsAnswer."""
    return f"/internal/projects/{project_id}/stats"


class StatsQuestion(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """From `from_` (included) to `to` (not), both whole steps in UTC.

    At most MAX_HOURS hours or MAX_DAYS days.
    """

    mode: Mode
    from_: Moment
    to: Moment
    step: Step = "hour"


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Of the requests that ended in a span of time. Cancelled ones are in none of the times.

    `repeated`: needed more than one attempt. `provider_ms`: the sum of what calls took;
    `waiting_ms`: of the rest of the time from accept to end. `p50_ms`, `p95_ms`: of all that time,
    good to a tenth; None where nothing ended.
    """

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    repeated: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    waiting_ms: int = 0
    provider_ms: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


class StatsStep(msgspec.Struct, frozen=True):
    """One hour or day."""

    starts_at: datetime
    tally: Tally


class ModelTally(msgspec.Struct, frozen=True, kw_only=True):
    """Ended requests of one model; `model` is empty for those that are counted together."""

    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int


class OpenNow(msgspec.Struct, frozen=True, kw_only=True):
    """Open requests; of each state at most MAX_OPEN_COUNTED are counted, the longest due first."""

    queued: int
    processing: int
    retrying: int
    oldest_created_at: datetime | None


class StatsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`steps`: every one of the range, oldest first. `total`: of all of it.

    `models`: at most TOP_MODELS, most requests first. `counted_until`: what ended before is
    counted; usually seconds ago.
    """

    steps: tuple[StatsStep, ...]
    total: Tally
    models: tuple[ModelTally, ...]
    open: OpenNow
    counted_until: datetime
