"""All that the rest of the house may know of the broker.

A publish that failed by timeout is *unknown*, not undone: the message may still arrive. Every
message may arrive twice; none that was confirmed is lost while the broker keeps its disk.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec


class Unsent(StrEnum):
    """Why a message was not confirmed."""

    BROKER_AWAY = "broker_away"
    UNKNOWN = "unknown"  # no confirm in time, or the connection ended first: it may have arrived
    UNROUTABLE = "unroutable"  # no queue takes this routing key
    REFUSED = "refused"  # the broker said no (a full queue)


class PublishFailed(Exception):
    """The message was not confirmed; `reason` says what is known about it."""

    def __init__(self, reason: Unsent) -> None:
        """`reason` is all that the text holds."""
        super().__init__(reason.value)
        self.reason = reason


class Message(msgspec.Struct, frozen=True):
    """Something to publish. `event_id`: carried as a header of that name, to follow it by."""

    exchange: str
    routing_key: str
    body: bytes
    event_id: str | None = None


class Publisher(Protocol):
    """Sends messages, confirmed by the broker."""

    async def publish(self, message: Message) -> None:
        """Send one. Raises PublishFailed; returns once the broker has it, an event on disk."""
        ...

    async def publish_many(self, messages: Sequence[Message]) -> list[Unsent | None]:
        """Send all at once, in one burst: per message, in order, None (confirmed) or why not."""
        ...

    def is_ready(self) -> bool:
        """Whether a publish has a chance now."""
        ...


class MarkingPublisher(Publisher, Protocol):
    """A publisher that can also find out whether the broker has lost its memory."""

    async def remembers(self, mark: str) -> bool:
        """Whether the broker still has a mark that was left: it was not wiped since.

        Raises PublishFailed while nobody can tell.
        """
        ...

    async def leave_mark(self, mark: str) -> None:
        """Leave one. Raises PublishFailed."""
        ...


class CountingPublisher(Publisher, Protocol):
    """A publisher that can also say how much waits."""

    async def count_messages(self, queues: Sequence[str]) -> Mapping[str, int]:
        """Messages ready for a reader, by queue. Raises PublishFailed while nobody can tell."""
        ...


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message in our hands; it comes back to somebody until it is acknowledged.

    `session` and `tag` say where to acknowledge it: for the consumer that gave it, and nobody else.
    `is_redelivered`: somebody may have had it before.
    """

    queue: str
    body: bytes
    event_id: str | None = None
    is_redelivered: bool = False
    session: int = 0
    tag: int = 0


class Consumer(Protocol):
    """Takes messages from one or more queues, evenly, and settles them."""

    async def take(self, limit: int) -> list[Delivery]:
        """Wait for at least one delivery; up to `limit`, evenly from the queues, rest to either.

        Answers nothing once `stop_receiving` was called.
        """
        ...

    def holds(self, delivery: Delivery) -> bool:
        """Whether it is still ours: neither settled, nor given to somebody else by the broker."""
        ...

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """They are done. What was lost meanwhile is counted, not raised: it comes again."""
        ...

    async def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Let somebody have them again. Lost ones as in `ack`."""
        ...

    async def stop_receiving(self) -> None:
        """Take no more from the broker and give back what nobody took; acks go on working."""
        ...

    def is_ready(self) -> bool:
        """Whether messages can arrive now."""
        ...
