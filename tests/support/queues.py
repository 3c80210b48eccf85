"""Looking into a broker from the side: what is in a queue, and emptying it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from libs.common.broker.rabbitmq.declare import declare_topology
from libs.common.broker.topology import queue_names

_SECONDS = 30.0


@asynccontextmanager
async def side_channel(url: str) -> AsyncIterator[AbstractChannel]:
    """A plain channel of the test's own."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        yield channel


async def reset(url: str) -> None:
    """The whole topology, every queue empty."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        await declare_topology(connection)
        for name in queue_names():
            await (await channel.get_queue(name, ensure=False)).purge()


async def make_quorum(url: str, *names: str) -> None:
    """Anew and empty, as services declare those that are missing. Nobody may be reading them."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        for name in names:
            await channel.queue_delete(name)
        await declare_topology(connection)


async def drain(url: str, queue: str) -> list[bytes]:
    """Take everything that is ready in a queue; the bodies."""
    return [message.body for message in await drain_messages(url, queue)]


async def drain_messages(url: str, queue: str) -> list[AbstractIncomingMessage]:
    """As `drain`, the messages."""
    found: list[AbstractIncomingMessage] = []
    async with side_channel(url) as channel:
        source = await channel.declare_queue(queue, passive=True)
        count = source.declaration_result.message_count or 0
        if count:
            async with source.iterator(no_ack=True, timeout=_SECONDS) as messages:
                async for message in messages:
                    found.append(message)
                    if len(found) == count:
                        break
    return found


async def depth(url: str, queue: str) -> int:
    """How many messages are ready (those in somebody's hands are not)."""
    async with side_channel(url) as channel:
        declared = await channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0


async def forget(url: str, mark: str) -> None:
    """A broker that came back with nothing in it: no mark, no message."""
    await reset(url)
    async with side_channel(url) as channel:
        await channel.exchange_delete(mark)
