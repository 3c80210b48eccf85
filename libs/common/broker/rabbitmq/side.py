"""Looking at the broker from the side: what is there, how deep it is, what was parked.

For the operator's program, once and away; nothing is declared, so that what is missing is seen.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import aio_pika
import msgspec
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.abc import AbstractChannel
from pamqp import commands

from libs.common.broker.protocol import Message
from libs.common.broker.rabbitmq.channels import open_channel
from libs.common.broker.topology import EXCHANGES, queue_names
from libs.common.settings import Secret

_NAME: Final = {"connection_name": "operator"}


class QueueLook(msgspec.Struct, frozen=True):
    """One queue: messages that wait, and readers."""

    name: str
    messages: int
    consumers: int


class BrokerLook(msgspec.Struct, frozen=True):
    """What is there of the topology. `missing`: exchanges and queues that are not."""

    version: str
    queues: tuple[QueueLook, ...]
    missing: tuple[str, ...]


class ParkedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a parked queue. `reason`: why the broker itself parked it, if it did."""

    queue: str
    body: bytes
    event_id: str | None
    reason: str | None


Looked = TypeVar("Looked")

Choice = Callable[[ParkedMessage], bool]
"""Whether a message is one of those that are meant."""

Act = Callable[[AbstractChannel, ParkedMessage], Awaitable[None]]
"""What is done with a message before it is taken away: `put_back` or `drop`."""

Told = Callable[[ParkedMessage], None]
"""Is told of each message that was settled."""


class Side:
    """A broker that is asked once; a connection each time. All raise what the library does."""

    def __init__(self, url: Secret, seconds: float) -> None:
        """`seconds`: to connect."""
        self._url, self._seconds = url, seconds

    async def look(self) -> BrokerLook:
        """At everything the topology names."""
        async with self._connected() as connection:
            queues = await _each(connection, queue_names(), _look_at_queue)
            exchanges = await _each(connection, [one.name for one in EXCHANGES], _look_at_exchange)
            there = {one.name for one in queues} | set(exchanges)
            wanted = [*queue_names(), *(one.name for one in EXCHANGES)]
            missing = tuple(name for name in wanted if name not in there)
            return BrokerLook(_version(connection), tuple(queues), missing)

    async def peek(self, queue: str, limit: int) -> list[ParkedMessage]:
        """The oldest of a queue; all go back where they were when the channel closes."""
        async with self._connected() as connection:
            holder = await open_channel(connection, is_publishing=False)
            found: list[ParkedMessage] = []
            while len(found) < limit and (taken := await _take(holder.amqp, queue)) is not None:
                found.append(taken[0])
            return found

    async def settle(self, queue: str, choice: Choice, act: Act, told: Told) -> int:
        """Take the chosen ones of a parked queue away, once `act` was done with each; how many.

        Goes once through what is there; what is not chosen, and all that is not settled when this
        is broken off, goes back. A message that was put back before its ack is there twice: every
        reader has a natural key that makes this harmless.
        """
        done = 0
        async with self._connected() as connection:
            holder = await open_channel(connection, is_publishing=True)
            waiting = await _each(connection, [queue], _look_at_queue)
            for _ in range(sum(one.messages for one in waiting)):
                taken = await _take(holder.amqp, queue)
                if taken is None:
                    break
                message, tag = taken
                if choice(message):
                    await act(holder.amqp, message)
                    await holder.amqp.basic_ack(tag, wait=True)
                    told(message)
                    done += 1
        return done

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AbstractConnection]:
        connection = await aio_pika.connect(
            self._url.reveal(), timeout=self._seconds, client_properties=dict(_NAME)
        )
        try:
            yield connection
        finally:
            await connection.close()


async def drop(_: AbstractChannel, __: ParkedMessage) -> None:
    """Nothing is done with it: it is gone."""


async def put_back(channel: AbstractChannel, message: ParkedMessage) -> None:
    """Into the queue it was parked from, and no other reader's. Raises what the library does."""
    sent = Message("", message.queue.removesuffix(".parked"), message.body, message.event_id)
    headers: dict[str, Any] = {} if sent.event_id is None else {"event_id": sent.event_id}
    await channel.basic_publish(
        sent.body,
        exchange=sent.exchange,
        routing_key=sent.routing_key,
        mandatory=True,
        properties=commands.Basic.Properties(delivery_mode=2, headers=headers),
    )


async def _each(
    connection: AbstractConnection,
    names: Sequence[str],
    look: Callable[[AbstractChannel, str], Awaitable[Looked]],
) -> list[Looked]:
    """What there is of them. The broker closes a channel that looked in vain; then a new one."""
    found: list[Looked] = []
    waiting = iter(names)
    is_over = False
    while not is_over:
        async with connection.channel(publisher_confirms=False) as opened:
            channel = await opened.get_underlay_channel()
            with suppress(ChannelNotFoundEntity):
                for name in waiting:
                    found.append(await look(channel, name))  # noqa: PERF401  # kept if the next fails
                is_over = True
    return found


async def _look_at_queue(channel: AbstractChannel, name: str) -> QueueLook:
    found = await channel.queue_declare(name, passive=True)
    return QueueLook(name, found.message_count or 0, found.consumer_count or 0)


async def _look_at_exchange(channel: AbstractChannel, name: str) -> str:
    await channel.exchange_declare(name, passive=True)
    return name


async def _take(channel: AbstractChannel, queue: str) -> tuple[ParkedMessage, int] | None:
    taken = await channel.basic_get(queue)
    if taken.delivery_tag is None:
        return None
    headers = taken.header.properties.headers or {}
    event_id = headers.get("event_id")
    message = ParkedMessage(
        queue=queue,
        body=taken.body,
        event_id=event_id if isinstance(event_id, str) else None,
        reason=_reason(headers),
    )
    return message, taken.delivery_tag


def _reason(headers: Any) -> str | None:
    """Why the broker dead-lettered it (rabbitmq.com/docs/dlx); None where a reader parked it."""
    deaths = headers.get("x-death") or [{}]
    reason = deaths[0].get("reason") if isinstance(deaths, Sequence) else None
    return None if reason is None else str(reason)


def _version(connection: AbstractConnection) -> str:
    transport = connection.transport
    properties = {} if transport is None else transport.connection.server_properties
    return str(properties.get("version", ""))
