"""What this executor has under way: its places, and the leases that go with them."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from libs.ledger.claim import LEASE, Claim
from libs.ledger.renew import Lease

_SURE_SECONDS: Final = LEASE.total_seconds() - 3  # what a call needs from the check to its send


class Running(msgspec.Struct):
    """One attempt under way.

    `leased_at`: the monotonic time at which its lease was last asked for, in seconds.
    `is_calling`: a lost lease may still cancel it.
    """

    claim: Claim
    task: "asyncio.Task[None]"
    leased_at: float
    is_calling: bool = True


class Floor:
    """The places of an executor. One attempt a place, one place an attempt."""

    def __init__(self, places: int) -> None:
        """`places`: attempts under way at once."""
        self._places = places
        self._booked = 0
        self._is_closed = False
        self._running: dict[tuple[str, int], Running] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._running)

    async def book(self, most: int, *, keep: int = 0) -> int:
        """Wait for a free place beyond the `keep` last ones; book up to `most`. 0 once closed."""
        while not self._is_closed:
            free = self._places - len(self._running) - self._booked - keep
            if free > 0:
                booked = min(free, most)
                self._booked += booked
                return booked
            self._changed.clear()
            await self._changed.wait()
        return 0

    def unbook(self, places: int) -> None:
        """Give booked places up, because they are taken now or not needed."""
        self._booked -= places
        self._changed.set()

    @property
    def is_closed(self) -> bool:
        """Whether this executor is about to stop."""
        return self._is_closed

    def close(self) -> None:
        """No more bookings; what runs goes on."""
        self._is_closed = True
        self._changed.set()

    def enter(self, running: Running) -> None:
        """Take a place."""
        self._running[running.claim.request_id, running.claim.fence] = running

    def leave(self, claim: Claim) -> None:
        """Free its place."""
        self._running.pop((claim.request_id, claim.fence), None)
        self._changed.set()

    def stop_calling(self, claim: Claim) -> None:
        """From here on the attempt has its answer: a lost lease does not cancel it any more."""
        running = self._running.get((claim.request_id, claim.fence))
        if running is not None:
            running.is_calling = False

    def renewed(self, leases: Iterable[Lease], asked_at: float) -> None:
        """Their leases run from `asked_at` (monotonic seconds, from before the asking) at least."""
        for lease in leases:
            running = self._running.get((lease.request_id, lease.fence))
            if running is not None:
                running.leased_at = asked_at

    def is_surely_leased(self, claim: Claim) -> bool:
        """Whether the lease cannot have ended yet, however long this process stood still."""
        running = self._running.get((claim.request_id, claim.fence))
        return running is not None and time.monotonic() - running.leased_at < _SURE_SECONDS

    def leases(self) -> list[Lease]:
        """What must be renewed: answers in hand included, until they are written."""
        return [Lease(request_id, fence) for request_id, fence in self._running]

    def cancel(self, lost: Iterable[Lease]) -> list[Claim]:
        """Abort the calls whose leases are lost; answers which were cut."""
        cut = []
        for lease in lost:
            running = self._running.get((lease.request_id, lease.fence))
            if running is not None and running.is_calling:
                running.task.cancel()
                cut.append(running.claim)
        return cut

    async def drained(self) -> None:
        """Wait until nothing is under way."""
        while self._running:
            self._changed.clear()
            await self._changed.wait()
