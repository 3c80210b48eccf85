"""One queue's messages in one session: what arrived, what is still owed an answer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from aiormq import Channel
from aiormq.abc import DeliveredMessage

from libs.common.broker.protocol import Delivery

_SETTLE_SECONDS: Final = 2.0

Write = Callable[[int, bool], Awaitable[None]]
"""Sends an ack or a nack for a tag; the boolean: and for all before it."""


class Intake:
    """Buffers deliveries and settles them, many with one frame where they are in a row."""

    def __init__(self, queue: str, session: int, channel: Channel, arrived: asyncio.Event) -> None:
        """`arrived` is set for each message."""
        self.queue, self.session = queue, session
        self.buffer: deque[Delivery] = deque()
        self._channel, self._arrived = channel, arrived
        self.received = 0
        self._unsettled: dict[int, None] = {}  # in order of arrival, which is the order of tags
        self._consumer_tag: str | None = None

    async def start(self, prefetch: int) -> None:
        """Begin to receive, at most `prefetch` unsettled messages at a time."""
        await self._channel.basic_qos(prefetch_count=prefetch)
        consuming = await self._channel.basic_consume(self.queue, self.receive)
        self._consumer_tag = consuming.consumer_tag

    async def receive(self, message: DeliveredMessage) -> None:
        """Runs in a task that dies with the channel, so it only hands over."""
        tag = message.delivery_tag
        if tag is None:
            return
        headers = message.header.properties.headers or {}
        event_id = headers.get("event_id")
        self.received += 1
        self._unsettled[tag] = None
        self.buffer.append(
            Delivery(
                queue=self.queue,
                body=message.body,
                event_id=event_id if isinstance(event_id, str) else None,
                is_redelivered=bool(message.redelivered),
                session=self.session,
                tag=tag,
            )
        )
        self._arrived.set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing that was delivered waits to be settled."""
        return not self._unsettled

    def holds(self, tag: int) -> bool:
        """Whether it was delivered here and not settled yet."""
        return tag in self._unsettled

    async def ack(self, tags: set[int]) -> None:
        """All of them must be held. Raises the library's error when the channel is gone."""
        await self._settle(
            tags,
            lambda tag, is_multiple: self._channel.basic_ack(tag, multiple=is_multiple, wait=False),
        )

    async def give_back(self, tags: set[int]) -> None:
        """As `ack`."""
        await self._settle(
            tags,
            lambda tag, is_multiple: self._channel.basic_nack(
                tag, multiple=is_multiple, requeue=True, wait=False
            ),
        )

    async def stop(self) -> None:
        """Receive nothing more, and give back what nobody took."""
        if self._consumer_tag is not None:
            await self._channel.basic_cancel(self._consumer_tag, timeout=_SETTLE_SECONDS)
        untaken = {delivery.tag for delivery in self.buffer}
        self.buffer.clear()
        await self.give_back(untaken)

    async def _settle(self, tags: set[int], write: Write) -> None:
        front = self._take_front(tags)
        singles = sorted(tags.difference(front))
        for tag in singles:
            del self._unsettled[tag]
        async with asyncio.timeout(_SETTLE_SECONDS):
            if front:
                await write(front[-1], len(front) > 1)
            for tag in singles:
                await write(tag, False)  # noqa: FBT003  # AMQP's own flag, named by Write

    def _take_front(self, tags: set[int]) -> list[int]:
        """The longest run of unsettled tags from the oldest on that are all among `tags`.

        One frame settles them together: it settles everything up to its tag, so nothing that is
        not among them may lie below.
        """
        front: list[int] = []
        for tag in self._unsettled:
            if tag not in tags:
                break
            front.append(tag)
        for tag in front:
            del self._unsettled[tag]
        return front
