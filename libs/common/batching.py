"""Group commit: many callers, one statement (decision 0002).

Callers `await batch(item)`. While one batch is under way, arrivals wait; when it ends, all that
wait (up to `limit`) go together. There is no timer, so a lone caller pays nothing; only after a
large batch the next one waits for one turn of the event loop more, so that callers released
together come back together.

Where items may be heavy, a batch has a bound in bytes too: a statement that cannot end within its
time-out would fail for all of its callers, who would come back together, for ever.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Self, TypeVar

import msgspec
from prometheus_client import Histogram

from libs.common.errors import Unavailable
from libs.common.metrics import BATCH_BUCKETS

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_Waiting = tuple[Item, asyncio.Future[Answer]]

BATCH_SIZE: Final = Histogram(
    "reqrun_batch_size_items", "Items a batch", ["batch"], buckets=BATCH_BUCKETS
)


class Scales(msgspec.Struct, Generic[Item], frozen=True):
    """How heavy an item is, in bytes, and what all heavy ones of a batch may weigh.

    Heavy is more than the part of `most` that each item of a full batch would have. `queue`: what
    may wait in all; None where nothing is won by turning away who holds its item anyway.
    """

    weigh: Callable[[Item], int]
    most: int
    queue: int | None = None


class Batch(Generic[Item, Answer]):
    """Collects items and runs them together.

    `run` answers one result an item, in order; a result that is an exception is raised to its
    caller alone. When `run` itself raises, every caller of that batch gets the error. Cancelling a
    caller never cancels the batch; an item that has not been begun by then never is. `limit`: items
    a batch; `queue_limit`: callers that may wait; `workers`: batches at once, at the most.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        name: str,
        limit: int = 64,
        queue_limit: int = 10_000,
        workers: int = 1,
    ) -> None:
        self._run, self._limit, self._queue_limit = run, limit, queue_limit
        self._scales: Scales[Item] | None = None
        # Heavy ones stand in a line of their own, so that nobody has to walk past them.
        self._light: deque[_Waiting[Item, Answer]] = deque()
        self._heavy: deque[_Waiting[Item, Answer]] = deque()
        self._heavy_bytes = 0
        self._workers = self._idle = workers
        self._tasks: set[asyncio.Task[None]] = set()
        self._sizes = BATCH_SIZE.labels(name)

    def weighing(self, scales: Scales[Item]) -> Self:
        """The same, for items that may be heavy. Light ones do not wait for those that wait."""
        self._scales = scales
        return self

    async def __call__(self, item: Item) -> Answer:
        """The item's result. Raises what `run` raised for it, or Unavailable when too many wait."""
        heaviness = self._heaviness(item)
        if not self._has_room(heaviness):
            raise Unavailable("Too many requests are waiting here. Try again in a second.")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        (self._heavy if heaviness else self._light).append((item, future))
        self._heavy_bytes += heaviness
        if self._needs_worker(is_heavy=heaviness > 0):
            self._idle -= 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def drain(self) -> None:
        """Wait until nothing is waiting or under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _has_room(self, heaviness: int) -> bool:
        if self._count_waiting() >= self._queue_limit:
            return False
        most = self._scales.queue if self._scales else None
        return most is None or not heaviness or self._heavy_bytes + heaviness <= most

    def _count_waiting(self) -> int:
        return len(self._light) + len(self._heavy)

    def _needs_worker(self, *, is_heavy: bool) -> bool:
        """One works as soon as anything waits; more only where whole batches do, or a heavy item.

        Two that share what one could carry cost a fifth more for the same work (bench/README.md).
        """
        if not self._idle:
            return False
        is_first = self._idle == self._workers
        return is_first or self._count_waiting() >= self._limit or is_heavy

    async def _work(self) -> None:
        try:
            while self._count_waiting():
                batch = self._take()
                if batch:
                    await self._settle(batch)
                if len(batch) > self._limit // 2:
                    await asyncio.sleep(0)
        finally:
            self._idle += 1

    def _take(self) -> list[_Waiting[Item, Answer]]:
        """The next items; one whose caller was cancelled before it was begun is not begun."""
        batch = self._take_heavy()
        while self._light and len(batch) < self._limit:
            item, future = self._light.popleft()
            if not future.done():
                batch.append((item, future))
        self._sizes.observe(len(batch))
        return batch

    def _take_heavy(self) -> list[_Waiting[Item, Answer]]:
        """Those that fit, and one at least. Light ones have room beside them, as each is large."""
        batch: list[_Waiting[Item, Answer]] = []
        weight = 0
        while self._heavy and self._scales:
            item, future = self._heavy[0]
            heaviness = 0 if future.done() else self._heaviness(item)
            if batch and weight + heaviness > self._scales.most:
                break
            self._heavy.popleft()
            self._heavy_bytes -= self._heaviness(item)
            if heaviness:
                weight += heaviness
                batch.append((item, future))
        return batch

    def _heaviness(self, item: Item) -> int:
        """Its bytes; 0 for a light one."""
        if self._scales is None:
            return 0
        weight = self._scales.weigh(item)
        return weight if weight * self._limit > self._scales.most else 0

    async def _settle(self, batch: list[_Waiting[Item, Answer]]) -> None:
        try:
            answers = await self._run([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  # it belongs to the callers
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue  # its caller was cancelled; the work was done all the same
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
