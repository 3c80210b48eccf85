"""Time as a dependency, so that a test can hold it still.

Leases, due times and deadlines never use this clock: the database's own clock decides those
(docs/request-lifecycle.md). It is for token lifetimes, caches and log times.
"""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the wall-clock time."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)
