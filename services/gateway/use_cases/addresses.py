"""Who fails to say who they are: failed authentications by client address.

In this process alone: it slows guessing down, and keeps a flood of made-up keys from accounts; a
key is far too long to be guessed at any rate.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from libs.common.addresses import counted_as
from services.gateway.domain import rates

FAILURES_A_MINUTE: Final = 30
MAX_ADDRESSES: Final = 50_000


class Addresses:
    """A token bucket of failures an address (see `counted_as`); a minute's worth may come at once.

    Bounded: the address that failed longest ago is forgotten first.
    """

    def __init__(
        self,
        failures_a_minute: int = FAILURES_A_MINUTE,
        *,
        limit: int = MAX_ADDRESSES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`failures_a_minute`: at least 1. `limit`: addresses. `monotonic`: seconds."""
        self._failures, self._limit, self._monotonic = failures_a_minute, limit, monotonic
        # When the bucket of an address will be full again, in microseconds.
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def is_barred(self, address: str) -> timedelta | None:
        """For how long nobody new is looked up for this address; None when it may try."""
        debt = self._debt(counted_as(address), self._now())
        return rates.time_to_token(debt, self._failures) or None

    def note_failure(self, address: str) -> None:
        """Somebody there showed a key that is not valid. More than a full debt nobody has."""
        name, now = counted_as(address), self._now()
        debt = self._debt(name, now) + rates.interval(self._failures)
        self._full_at[name] = now + min(debt, rates.WINDOW_MICROSECONDS)
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._limit:
            self._full_at.popitem(last=False)

    def _debt(self, name: str, now: int) -> int:
        return max(self._full_at.get(name, now) - now, 0)

    def _now(self) -> int:
        return int(self._monotonic() * 1_000_000)
