"""Waiting: callers who want the result as soon as it is there.

Listen, look, wait, look: a wake-up may be lost, the ledger is the truth. A wake-up may bring what
the ledger has committed; only who can open it believes it (decision 0015). Every waiter is looked
up again from time to time, all that are due in one statement, and all of them at once whenever the
channel of wake-ups changes. One timer serves everybody: waiters stand in an agenda of tenths of a
second, so that ten thousand idle ones cost next to nothing; with each look it is seen whether the
caller is still there, so that nobody fills the room with calls that were hung up.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import msgspec
from prometheus_client import Counter as Total
from prometheus_client import Gauge

from libs.common import logs
from libs.common.contracts.gateway import Ended
from libs.common.errors import Unavailable
from libs.common.runtime import sleep
from libs.ledger.look import Question

log = logs.get(__name__)

WAITERS_NOT_LOOKED_UP: Final = "waiters_not_looked_up"
WAKE_UP_CHANNEL_CHANGED: Final = "wake_up_channel_changed"

WAITING: Final = Gauge("reqrun_gateway_waiting_calls", "Calls that wait for their result")
ENDED: Final = Total("reqrun_gateway_waits_total", "Waits that ended", ["reason"])
_WOKEN, _LOOKED, _TIMED_OUT, _GONE = (
    ENDED.labels(reason) for reason in ("wake_up", "look", "time", "caller_gone")
)

# Seconds.
TICK: Final = 0.1
LOOK_EVERY: Final = 2.0
FIRST_LOOK_UNHEALTHY: Final = 0.25

LOOK_TOGETHER: Final = 256

_SHARES: Final = 20

FindFinal = Callable[[Sequence[Question]], Awaitable[set[str]]]


def nobody_hangs_up() -> bool:
    """Where nobody could tell."""
    return False


class Wait(msgspec.Struct, frozen=True):
    """How long a caller waits, zero for not at all; `is_gone`: whether they have hung up since."""

    time: timedelta
    is_gone: Callable[[], bool] = nobody_hangs_up


class Waiter:
    """One caller's place.

    `is_over`: no more waiting, whatever the ledger says. `told`: the end with its result, where a
    wake-up brought that.
    """

    __slots__ = ("_future", "ends_at", "is_due", "is_gone", "is_over", "pause", "question", "told")

    def __init__(self, question: Question, ends_at: float, pause: float) -> None:
        """`ends_at`: by the monotonic clock. `pause`: seconds until the first look."""
        self.question, self.ends_at, self.pause = question, ends_at, pause
        self.is_gone: Callable[[], bool] = nobody_hangs_up
        self.is_due = self.is_over = False
        self.told: Ended | None = None
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Return when it may be final, or at the end; what is true is the ledger's to say."""
        await self._future
        if not self.is_over:
            self._future = asyncio.get_running_loop().create_future()

    def wake(self) -> bool:
        """Whether somebody was asleep."""
        if self._future.done():
            return False
        self._future.set_result(None)
        return True

    def end(self) -> bool:
        """Stop waiting. Whether that was news."""
        self.is_over = True
        return self.wake()


class WaitingRoom:
    """All waiters of this process."""

    def __init__(
        self,
        find_final: FindFinal,
        *,
        limit: int = 20_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limit`: waiters at once; one more is over at once.

        Once it is half full, a project has a twentieth of it at the most: the rest is for others.
        """
        self._find_final, self._limit, self._monotonic = find_final, limit, monotonic
        self._waiters: dict[str, set[Waiter]] = {}
        self._count = 0
        self._of_project: Counter[str] = Counter()
        self._agenda: defaultdict[int, list[Waiter]] = defaultdict(list)
        self._tick = int(monotonic() / TICK)
        self._due: list[Waiter] = []
        self._has_due = asyncio.Event()
        self._is_healthy = self._is_closed = False

    @contextmanager
    def listen(self, question: Question, wait: Wait) -> Iterator[Waiter]:
        """A place in the room; from here on no wake-up for this request is missed.

        For a request that is stored only now no first look is needed.
        """
        pause = LOOK_EVERY if self._is_healthy else FIRST_LOOK_UNHEALTHY
        waiter = Waiter(question, self._monotonic() + wait.time.total_seconds(), pause)
        waiter.is_gone = wait.is_gone
        if self._is_closed or not self._has_room(question.project_id):
            waiter.end()
        else:
            self._plan(waiter)
        self._enter(waiter)
        try:
            yield waiter
        finally:
            self._leave(waiter)

    def wake(self, ended: Iterable[Ended]) -> None:
        """These are final."""
        for one in ended:
            for waiter in self._waiters.get(one.request_id, ()):
                if one.result is not None:
                    waiter.told = one
                if waiter.wake():
                    _WOKEN.inc()

    def note_channel(self, *, is_healthy: bool) -> None:
        """The channel of wake-ups is there (again), or is lost. Either way wake-ups were missed."""
        if is_healthy == self._is_healthy:
            return
        log.info(WAKE_UP_CHANNEL_CHANGED, is_ready=is_healthy, count=self._count)
        self._is_healthy = is_healthy
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.pause = LOOK_EVERY if is_healthy else FIRST_LOOK_UNHEALTHY
                self._make_due(waiter)

    async def keep_time(self, stop: asyncio.Event) -> None:
        """A loop: end waits, and find who is due for a look. At a stop every wait ends."""
        while not await sleep(stop, TICK):
            self._advance(self._monotonic())
        self._is_closed = True
        self._has_due.set()
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.end()

    async def keep_looking(self, stop: asyncio.Event) -> None:
        """A loop: look up who is due, all together. Ends with `keep_time`."""
        while not stop.is_set():
            await self._has_due.wait()
            self._has_due.clear()
            while self._due and not stop.is_set():
                batch, self._due = self._due[:LOOK_TOGETHER], self._due[LOOK_TOGETHER:]
                await self._look(batch)

    def _has_room(self, project_id: str) -> bool:
        if self._count < self._limit // 2:
            return True
        share = self._limit // _SHARES
        return self._count < self._limit and self._of_project[project_id] < share

    def _enter(self, waiter: Waiter) -> None:
        self._waiters.setdefault(waiter.question.request_id, set()).add(waiter)
        self._count += 1
        self._of_project[waiter.question.project_id] += 1
        WAITING.inc()

    def _leave(self, waiter: Waiter) -> None:
        """Out of everything but the agenda, which is through with it in two seconds at the most."""
        waiter.is_over = True
        request_id = waiter.question.request_id
        others = self._waiters[request_id]
        others.discard(waiter)
        if not others:
            del self._waiters[request_id]
        self._count -= 1
        project_id = waiter.question.project_id
        self._of_project[project_id] -= 1
        if not self._of_project[project_id]:
            del self._of_project[project_id]
        WAITING.dec()

    def _plan(self, waiter: Waiter) -> None:
        """Put it into the agenda where its next look, or its end, is."""
        at = min(self._monotonic() + waiter.pause, waiter.ends_at)
        self._agenda[max(int(at / TICK), self._tick) + 1].append(waiter)

    def _advance(self, now: float) -> None:
        """Go through the agenda up to `now`."""
        while self._tick < int(now / TICK):
            self._tick += 1
            for waiter in self._agenda.pop(self._tick, ()):
                self._attend(waiter, now)

    def _attend(self, waiter: Waiter, now: float) -> None:
        """What the agenda said: its end, or its next look. Who has hung up is not looked up."""
        if waiter.is_over:
            return
        if waiter.is_gone():
            if waiter.end():
                _GONE.inc()
            return
        if now >= waiter.ends_at:
            if waiter.end():
                _TIMED_OUT.inc()
            return
        self._make_due(waiter)
        waiter.pause = min(waiter.pause * 2, LOOK_EVERY)
        self._plan(waiter)

    def _make_due(self, waiter: Waiter) -> None:
        if not waiter.is_due and not waiter.is_over:
            waiter.is_due = True
            self._due.append(waiter)
            self._has_due.set()

    async def _look(self, batch: Sequence[Waiter]) -> None:
        """Wake those whose request is final. A failed look costs time: the next one is planned."""
        for waiter in batch:
            waiter.is_due = False
        waiters = [waiter for waiter in batch if not waiter.is_over]
        try:
            final = await self._find_final([waiter.question for waiter in waiters])
        except Unavailable:
            log.warning(WAITERS_NOT_LOOKED_UP, count=len(waiters))
            return
        for waiter in waiters:
            if waiter.question.request_id in final and waiter.wake():
                _LOOKED.inc()
