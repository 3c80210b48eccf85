"""Hints over the broker: sent in bursts after the commit, awaited by nobody."""

import asyncio
from collections.abc import Sequence
from typing import Final

from prometheus_client import Counter

from libs.common.broker.protocol import Message, Publisher
from libs.common.broker.topology import WORK, WORK_FIRST, WORK_REST
from libs.common.crash_points import crash_point
from libs.ledger.accept import Hint

DROPPED: Final = Counter(
    "reqrun_gateway_hints_dropped_total",
    "Hints not sent because the broker was away or slow; the dispatcher sends them",
)

MAX_BURST: Final = 256
MAX_BURSTS: Final = 32
MAX_WAITING: Final = 4096


class BrokerHints:
    """All hints of one turn of the event loop go in one burst.

    A burst does not wait for the confirms of the one before it; up to MAX_BURSTS are under way.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._waiting: list[Message] = []
        self._is_planned = False
        self._bursts: set[asyncio.Task[None]] = set()

    def send(self, hint: Hint) -> None:
        """See Hints."""
        if not self._publisher.is_ready() or len(self._waiting) >= MAX_WAITING:
            DROPPED.inc()
            return
        queue = WORK_FIRST if hint.is_first else WORK_REST
        self._waiting.append(Message(WORK, queue, hint.request_id.encode()))
        if not self._is_planned:
            self._is_planned = True
            asyncio.get_running_loop().call_soon(self._send_all)

    async def drain(self) -> None:
        """Wait for the confirms of what was sent; never longer than the publisher's time-out."""
        while self._bursts:
            await asyncio.wait(set(self._bursts))

    def _send_all(self) -> None:
        self._is_planned = False
        while self._waiting and len(self._bursts) < MAX_BURSTS:
            burst, self._waiting = self._waiting[:MAX_BURST], self._waiting[MAX_BURST:]
            task = asyncio.create_task(self._send(burst))
            self._bursts.add(task)
            task.add_done_callback(self._note_end)

    async def _send(self, burst: Sequence[Message]) -> None:
        crash_point("hint.before_publish")
        unsent = await self._publisher.publish_many(burst)
        crash_point("hint.after_publish")
        DROPPED.inc(sum(reason is not None for reason in unsent))

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._bursts.discard(task)
        if self._waiting and not self._is_planned:
            self._send_all()
