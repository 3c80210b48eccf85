"""Stops calling a broker that does not answer, so that nobody waits for a dead one."""

from collections import deque
from datetime import timedelta
from typing import Final

FAILURES: Final = 3
WINDOW: Final = timedelta(seconds=5)
REST: Final = timedelta(seconds=5)


class Breaker:
    """Opens after FAILURES failures within WINDOW; after REST lets one try through.

    Times are readings of a monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        """Closed: everything may pass."""
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._opens_again_at: float | None = None

    def may_pass(self, now: float) -> bool:
        """Whether to try. When the rest is over it says yes once, and rests on: one probe."""
        if self._opens_again_at is None:
            return True
        if now < self._opens_again_at:
            return False
        self._opens_again_at = now + REST.total_seconds()
        return True

    def failed(self, now: float) -> bool:
        """Note a failure. True when that leaves the breaker open."""
        self._failures.append(now)
        is_dense = now - self._failures[0] <= WINDOW.total_seconds()
        if len(self._failures) == FAILURES and is_dense:
            self._opens_again_at = now + REST.total_seconds()
        return self._opens_again_at is not None

    def succeeded(self) -> None:
        """The broker answers: forget what was."""
        self._failures.clear()
        self._opens_again_at = None
