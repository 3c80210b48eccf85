"""Consuming: deliveries wait in the caller's hands; no work runs in the library's tasks.

The library cancels its own tasks when a channel is lost, mid-call and without a word, so its
callback only puts the delivery into a buffer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from types import TracebackType
from typing import Final, Self

import msgspec
from aio_pika.abc import AbstractConnection
from prometheus_client import Counter

from libs.common import logs
from libs.common.broker.protocol import Delivery
from libs.common.broker.rabbitmq.channels import OpenChannel, open_channel
from libs.common.broker.rabbitmq.intake import Intake
from libs.common.broker.rabbitmq.link import End, Link
from libs.common.settings import Secret

log = logs.get(__name__)

CONSUMER_LOST: Final = "consumer_lost"

SETTLEMENTS_LOST: Final = Counter(
    "reqrun_broker_settlements_lost_total",
    "Acks and give-backs of deliveries whose channel was gone; they are delivered again",
)
CONSUMERS_LOST: Final = Counter("reqrun_broker_consumers_lost_total", "Consumers found missing")

WATCH_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 9.0
"""After so long without a message the session is renewed: it costs a reconnect, and no message."""
PROBE_SECONDS: Final = 5.0


class _Session(msgspec.Struct, frozen=True):
    """What a consumer has on one connection: an intake, with a channel of its own, a queue."""

    number: int
    connection: AbstractConnection
    channels: list[OpenChannel]
    intakes: dict[str, Intake]


class RabbitMQConsumer:
    """A Consumer on a connection of its own, kept open while the `async with` lasts.

    A lost session takes its unsettled deliveries along: `holds` says so, the broker sends them
    again. For one taker at a time.
    """

    def __init__(self, url: Secret, *, name: str, queues: Sequence[str], prefetch: int) -> None:
        """`prefetch`: unsettled messages a queue."""
        self._queues, self._prefetch = queues, prefetch
        self._arrived = asyncio.Event()
        self._numbers = count(1)
        self._turn = 0
        self._is_stopping = False
        self._watcher: asyncio.Task[None] | None = None
        # Deliveries arrive while a session is still being prepared, so look once it is open.
        self._link: Link[_Session] = Link(
            url,
            name=name,
            kind="consumer",
            prepare=self._prepare,
            on_session=self._arrived.set,
        )

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        await self._link.__aenter__()
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection; what was not settled goes back to its queue."""
        async with AsyncExitStack() as stack:
            stack.push_async_exit(self._link)
            if self._watcher is not None:
                self._watcher.cancel()

    def is_ready(self) -> bool:
        """Whether messages can arrive now."""
        return self._link.session is not None

    async def take(self, limit: int) -> list[Delivery]:
        """At least one, at most `limit`; nothing once receiving has stopped."""
        while not self._is_stopping:
            self._arrived.clear()
            taken = self._pick(limit)
            if taken:
                return taken
            await self._arrived.wait()
        return []

    def _pick(self, limit: int) -> list[Delivery]:
        """One from each queue in turn; the turn goes on where it stood, so one place is shared."""
        session = self._link.session
        filled = [i for i in session.intakes.values() if i.buffer] if session else []
        taken: list[Delivery] = []
        while filled and len(taken) < limit:
            self._turn += 1
            intake = filled[self._turn % len(filled)]
            taken.append(intake.buffer.popleft())
            if not intake.buffer:
                filled.remove(intake)
        return taken

    def holds(self, delivery: Delivery) -> bool:
        """False once it was settled or its session ended."""
        intake = self._intake(delivery)
        return intake is not None and intake.holds(delivery.tag)

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Done with them. Many in a row cost one frame."""
        for intake, tags in self._by_intake(deliveries):
            await self._settle(intake.ack, tags)

    async def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Somebody may have them again, at once."""
        for intake, tags in self._by_intake(deliveries):
            await self._settle(intake.give_back, tags)

    async def stop_receiving(self) -> None:
        """For a shutdown: there is no way back."""
        self._is_stopping = True
        self._arrived.set()
        session = self._link.session
        if session is None:
            return
        for intake in session.intakes.values():
            try:
                await intake.stop()
            except Exception as error:  # the broker is gone, so nothing arrives
                log.warning(CONSUMER_LOST, queue=intake.queue, exc_info=error)
                self._link.end_session()

    def _intake(self, delivery: Delivery) -> Intake | None:
        session = self._link.session
        if session is None or session.number != delivery.session:
            return None
        return session.intakes.get(delivery.queue)

    def _by_intake(self, deliveries: Sequence[Delivery]) -> list[tuple[Intake, set[int]]]:
        tags: dict[str, set[int]] = {}
        for delivery in deliveries:
            if self.holds(delivery):
                tags.setdefault(delivery.queue, set()).add(delivery.tag)
            else:
                SETTLEMENTS_LOST.inc()
        intakes = self._link.session.intakes if self._link.session else {}
        return [(intakes[queue], found) for queue, found in tags.items()]

    async def _settle(self, settle: Callable[[set[int]], Awaitable[None]], tags: set[int]) -> None:
        try:
            await settle(tags)
        except Exception:  # noqa: BLE001  # a lost channel: the broker delivers them again
            SETTLEMENTS_LOST.inc(len(tags))
            self._link.end_session()

    async def _prepare(self, connection: AbstractConnection, end: End) -> _Session:
        session = _Session(next(self._numbers), connection, [], {})
        for queue in () if self._is_stopping else self._queues:
            channel = await open_channel(connection, is_publishing=False)
            channel.holder.close_callbacks.add(lambda *_: end())
            channel.amqp.on_consumer_cancel_callbacks.add(lambda _: end())
            intake = Intake(queue, session.number, channel.amqp, self._arrived)
            await intake.start(self._prefetch)
            session.channels.append(channel)
            session.intakes[queue] = intake
        return session

    async def _watch(self) -> None:
        """End a session that looks open but gets nothing: no consumer, no queue, no answer.

        And one that has been idle for a while: where a quorum queue was deleted and declared again,
        RabbitMQ 3.10 counts our consumer as there and hands it messages that it never sends.
        """
        idle_since, seen = time.monotonic(), (0, 0)
        while not self._is_stopping:
            await asyncio.sleep(WATCH_SECONDS)
            session = self._link.session
            if session is None:
                continue
            now_seen = (session.number, sum(i.received for i in session.intakes.values()))
            if now_seen != seen or not all(i.is_empty for i in session.intakes.values()):
                idle_since, seen = time.monotonic(), now_seen
            elif time.monotonic() - idle_since > IDLE_SECONDS:
                self._link.renew_session()
                continue
            if await _is_consuming(session):
                continue
            CONSUMERS_LOST.inc()
            log.warning(CONSUMER_LOST)
            if session is self._link.session:
                self._link.end_session()


async def _is_consuming(session: _Session) -> bool:
    """Whether the broker answers and knows a consumer on each queue."""
    try:
        async with (
            asyncio.timeout(PROBE_SECONDS),
            session.connection.channel(publisher_confirms=False) as probe,
        ):
            amqp = await probe.get_underlay_channel()
            answers = [await amqp.queue_declare(q, passive=True) for q in session.intakes]
    except Exception:  # noqa: BLE001  # whatever it was, this is not a session that works
        return False
    return all(answer.consumer_count for answer in answers)
