"""Time that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


class FrozenClock:
    """A Clock in the test's hand."""

    def __init__(self, at: datetime = START) -> None:
        """It shows `at`."""
        self._at = at

    def now(self) -> datetime:
        """What it shows."""
        return self._at

    def advance(self, duration: timedelta) -> None:
        """Move it on."""
        self._at += duration
