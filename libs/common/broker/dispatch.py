"""Events in: bytes become a typed event, and the event reaches its handler.

Every delivery has exactly one of three fates: *acked*, its handler returned; *parked*, nobody here
can ever read it, so it is kept as evidence in `<queue>.parked`; *returned*, its handler failed for
ten minutes. Failing handlers are called again in place, with growing pauses: the delivery keeps its
prefetch slot, so that an outage slows the reader down instead of turning its queue over. Every
event may come twice; the handler's natural key makes that harmless.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import msgspec
from prometheus_client import Counter

from libs.common import logs
from libs.common.broker.protocol import Consumer, Delivery, Message, Publisher
from libs.common.broker.topology import PARKED
from libs.common.contracts.event import Event, UndecodableEvent, decoder
from libs.common.pauses import growing
from libs.common.runtime import sleep

log = logs.get(__name__)

MESSAGE_PARKED: Final = "message_parked"
EVENT_RETURNED: Final = "event_returned"
EVENT_HANDLING_FAILED: Final = "event_handling_failed"
EVENT_LOST: Final = "event_lost"

FATES: Final = Counter("reqrun_events_settled_total", "Deliveries by their fate", ["queue", "fate"])
FAILURES: Final = Counter(
    "reqrun_event_failures_total", "Calls of a handler that raised", ["queue"]
)

Handler = Callable[[Any], Awaitable[None]]
"""Takes the event it is registered for; raising means "later"."""

Handlers = Mapping[type[Event], Handler]


class Patience(msgspec.Struct, frozen=True):
    """How long a failing handler is called again in place, and how often; `grace`: at shutdown."""

    first: timedelta = timedelta(seconds=0.5)
    longest: timedelta = timedelta(seconds=30)
    total: timedelta = timedelta(minutes=10)
    grace: timedelta = timedelta(seconds=10)


PATIENCE: Final = Patience()


async def park(publisher: Publisher, delivery: Delivery) -> None:
    """Keep a message that nobody can ever handle; the caller acks it then. Raises PublishFailed."""
    await publisher.publish(Message(PARKED, delivery.queue, delivery.body, delivery.event_id))
    log.error(
        MESSAGE_PARKED,
        queue=delivery.queue,
        event_id=delivery.event_id,
        bytes=len(delivery.body),
    )


class EventReader:
    """Hands the events of a consumer's queues to their handlers, up to `limit` at a time.

    Handlers run in tasks of ours: the broker's library cancels its own when a channel is lost.
    """

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        handlers: Handlers,
        *,
        limit: int = 16,
        patience: Patience = PATIENCE,
    ) -> None:
        """`publisher` is for parking. `limit`: as large as the consumer's prefetch."""
        self._consumer, self._publisher, self._handlers = consumer, publisher, handlers
        self._decode = decoder(handlers)
        self._limit, self._patience = limit, patience
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then takes no more, and lets what runs finish within the grace."""
        watcher = asyncio.create_task(self._stop_receiving_at(stop))
        try:
            while deliveries := await self._consumer.take(self._limit - len(self._tasks)):
                self._begin(deliveries)
                if len(self._tasks) >= self._limit:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not stop.is_set():
                watcher.cancel()
            # At a stop it is not cut short: messages would go on coming while handlers finish, or
            # the channel would close under their acks.
            await asyncio.wait([watcher])
            await self._finish()

    async def _stop_receiving_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stop.set()
        await self._consumer.stop_receiving()

    def _begin(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            task = asyncio.create_task(self._settle(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _finish(self) -> None:
        """What does not end in time is cancelled; unsettled, it is delivered to somebody else."""
        self._stop.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._patience.grace.total_seconds())
        for task in self._tasks:
            task.cancel()

    async def _settle(self, delivery: Delivery) -> None:
        act, fate = self._plan(delivery)
        if await self._is_done_patiently(act, delivery):
            await self._consumer.ack([delivery])
        elif self._consumer.holds(delivery):
            fate = "returned"
            log.error(EVENT_RETURNED, queue=delivery.queue, event_id=delivery.event_id)
            await self._consumer.give_back([delivery])
        else:
            fate = "lost"
            log.warning(EVENT_LOST, queue=delivery.queue, event_id=delivery.event_id)
        FATES.labels(delivery.queue, fate).inc()

    def _plan(self, delivery: Delivery) -> tuple[Callable[[], Awaitable[None]], str]:
        """What to do with it, and what its fate is once that has worked."""
        try:
            event = self._decode(delivery.body)
        except UndecodableEvent:
            return partial(park, self._publisher, delivery), "parked"
        return partial(self._handlers[type(event)], event), "acked"

    async def _is_done_patiently(
        self, act: Callable[[], Awaitable[None]], delivery: Delivery
    ) -> bool:
        """Call `act` until it returns. False: patience, delivery or process came to its end."""
        pauses = growing(self._patience.first, self._patience.longest)
        clock = asyncio.get_running_loop().time
        gives_up_at = clock() + self._patience.total.total_seconds()
        while self._consumer.holds(delivery):
            try:
                await act()
            except Exception as error:
                FAILURES.labels(delivery.queue).inc()
                log.warning(
                    EVENT_HANDLING_FAILED,
                    queue=delivery.queue,
                    event_id=delivery.event_id,
                    exc_info=error,
                )
            else:
                return True
            if clock() >= gives_up_at or await sleep(self._stop, next(pauses)):
                return False
        return False
