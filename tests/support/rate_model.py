"""Redis's script for request rates once more, in Python, with a clock in the test's hand."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from services.gateway.domain import rates
from services.gateway.domain.rates import Bucket, Group, Leave, Taken

SLOT: Final = 300_000
"""Microseconds."""


class ModelBuckets:
    """What RedisBuckets does; `now` in microseconds."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._full_at: dict[str, int] = {}
        self._out: defaultdict[tuple[str, int], int] = defaultdict(int)  # by bucket and slot

    def take(self, groups: Sequence[Group]) -> list[Taken]:
        """As RedisBuckets does, at once."""
        return [self._take(group) for group in groups]

    def _take(self, group: Group) -> Taken:
        sides, dues = (group.key, group.project), group.dues
        for side in sides:
            self._take_back(side, dues.back)
            self._spend(side, dues.owed)
        granted = min(group.wanted, *map(self._room, sides))
        leave = self._leave(group, granted)
        for side in sides:
            self._out[side.name, self._slot()] += leave.calls
        of_key, of_project = (self._told(side, is_refused=granted < group.wanted) for side in sides)
        return Taken(granted, of_key, of_project, leave)

    def _leave(self, group: Group, granted: int) -> Leave:
        sides, dues = (group.key, group.project), group.dues
        for side in sides:
            self._spend(side, granted)
        calls = min(map(self._room, sides)) // dues.parts if dues.parts else 0
        if group.wanted == 0 and dues.back.slot >= self._slot() - 1:
            calls = max(calls, dues.back.calls - dues.owed)
        return Leave(calls, self._slot()) if calls else Leave()

    def debt(self, side: Bucket) -> int:
        """Microseconds until it is full."""
        return max(self._full_at.get(side.name, 0) - self.now, 0)

    def _spend(self, side: Bucket, calls: int) -> None:
        if calls:
            self._full_at[side.name] = self.now + rates.charge(self.debt(side), side.limit, calls)

    def _take_back(self, side: Bucket, leave: Leave) -> None:
        place = side.name, leave.slot
        self._out[place] = max(self._out[place] - leave.calls, 0)

    def _told(self, side: Bucket, *, is_refused: bool) -> int:
        return rates.charge(self.debt(side), side.limit, is_refused * self._held(side))

    def _room(self, side: Bucket) -> int:
        return max(rates.room(self.debt(side), side.limit) - self._held(side), 0)

    def _held(self, side: Bucket) -> int:
        return sum(self._out[side.name, self._slot() - ago] for ago in (0, 1))

    def _slot(self) -> int:
        return self.now // SLOT
