"""Calls that go ahead: Redis is told of them afterwards, many at once (decision 0031).

With its answer Redis gives a leave: so many calls may go on unasked for a moment, and nobody else
is given their tokens meanwhile. A leave is a small part of what is free, so a bucket that is
nearly empty, or a small one, gives none, and each call asks.

No clock and no Redis here: who holds this settles what is owed, in time (adapters/limits.py).
"""

from collections import OrderedDict
from typing import Final

import msgspec

from services.gateway.domain import rates
from services.gateway.domain.rates import Dues, Leave, RateAsk, RateGrant, Taken

PARTS: Final = 64
LIFE: Final = 0.1
"""Seconds that a leave may be used for, from when it was asked for."""
MAX_KNOWN: Final = 50_000


class _Known(msgspec.Struct):
    """What goes for an ask. Times are readings of the monotonic clock, in seconds."""

    settled_at: float = float("-inf")
    grant: RateGrant | None = None  # what the last who went on was told
    leave: Leave = Leave()
    left: int = 0
    ends_at: float = 0.0
    owed: int = 0


class Ahead:
    """The leaves of this process. A plan that changes is another ask, and so begins without one.

    Bounded: the ask that was settled longest ago is forgotten first, and none that owes.
    """

    def __init__(self, limit: int = MAX_KNOWN) -> None:
        """`limit`: asks. One that is not kept for want of room has no leave."""
        self._limit = limit
        self._known: OrderedDict[RateAsk, _Known] = OrderedDict()
        self._debtors: dict[RateAsk, None] = {}
        self.is_urgent = False
        """Whether a leave was used up since anything was settled."""

    def take(self, ask: RateAsk, now: float) -> RateGrant | None:
        """One call of a leave; None where it has to ask."""
        known = self._known.get(ask)
        if known is None or known.left == 0 or known.grant is None or now >= known.ends_at:
            return None
        known.left -= 1
        known.owed += 1
        known.grant = rates.after(known.grant, 1)
        self._debtors[ask] = None
        self.is_urgent = self.is_urgent or known.left == 0
        return known.grant

    def count_debtors(self) -> int:
        """How many asks owe."""
        return len(self._debtors)

    def debtors(self, most: int) -> list[RateAsk]:
        """Those that owe, longest first; at most so many."""
        return [ask for ask, _ in zip(self._debtors, range(most), strict=False)]

    def settle(self, ask: RateAsk, now: float, *, is_asking: bool) -> Dues:
        """What is to be told about it now, and never again. `is_asking`: for calls that wait.

        Those want all that is free, so the leave goes back whole. Else the rest of it stays in use
        until the answer comes. Who asks for the first time in LIFE is not worth a leave.
        """
        known = self._known.pop(ask, None) or self._newcomer()
        if known is None:
            return Dues()
        self._known[ask] = known
        is_frequent = known.owed > 0 or now - known.settled_at < LIFE
        dues = Dues(known.owed, known.leave, PARTS if is_frequent else 0)
        known.owed, known.settled_at = 0, now
        self._debtors.pop(ask, None)
        self.is_urgent = False
        if is_asking:
            known.left = 0
        return dues

    def renew(self, ask: RateAsk, taken: Taken, grant: RateGrant, settled_at: float) -> None:
        """Use the leave that came with an answer, less what went on while it was under way."""
        known = self._known.get(ask)
        if known is None:
            return
        known.leave, known.ends_at = taken.leave, settled_at + LIFE
        known.left = max(taken.leave.calls - known.owed, 0)
        known.grant = rates.after(grant, known.owed)

    def _newcomer(self) -> _Known | None:
        """None where there is no room for one, because even the oldest owes."""
        if len(self._known) >= self._limit:
            oldest = next(iter(self._known))
            if oldest in self._debtors:
                return None
            del self._known[oldest]
        return _Known()
