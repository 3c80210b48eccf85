"""What a database shows of itself, in metrics that all who use one share.

`database`: its name, one of three. Errors are counted by kind, because their remedies differ; the
kinds are SQLSTATEs (postgresql.org/docs/current/errcodes-appendix.html) by name.
"""

import time
from datetime import datetime
from typing import Final

from prometheus_client import Counter, Gauge

ERRORS: Final = Counter(
    "reqrun_database_errors_total",
    "Statements that a database did not do, or whose answer did not come",
    ["database", "why"],
)
CLOCK_OFFSET: Final = Gauge(
    "reqrun_clock_offset_seconds",
    "This process's clock minus its database's, when it was last asked whether it is ready",
    ["database"],
)

UNREACHABLE: Final = "unreachable"

_BY_STATE: Final = {
    "25006": "read_only",
    "53100": "disk_full",
    "53300": "no_connection_free",
    "55P03": "locked",
    "57014": "too_slow",
}
_BY_CLASS: Final = {
    "08": UNREACHABLE,
    "40": "conflict",
    "53": "no_resources",
    "57": "shutting_down",
    "58": "system_error",
}


def count_error(database: str, sqlstate: str | None) -> None:
    """One more. `sqlstate`: None where the server said nothing."""
    ERRORS.labels(database, kind_of(sqlstate)).inc()


def kind_of(sqlstate: str | None) -> str:
    """The label for a SQLSTATE."""
    if not sqlstate:
        return UNREACHABLE
    return _BY_STATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2], "other")


def note_clock(database: str, its_time: datetime, asked_at: float) -> None:
    """`its_time`: what it answered just now to who asked at `asked_at` (seconds since 1970)."""
    between = (asked_at + time.time()) / 2
    CLOCK_OFFSET.labels(database).set(between - its_time.timestamp())
