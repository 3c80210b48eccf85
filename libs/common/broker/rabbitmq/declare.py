"""Declares the topology. Harmless when it is there; a wiped broker heals."""

from collections.abc import Awaitable, Callable, Sequence

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.abc import AbstractChannel

from libs.common.broker.topology import EXCHANGES, HINT_QUEUES, QUORUM, bindings, queue_names


async def declare_topology(connection: AbstractConnection) -> None:
    """Declare every exchange, queue and binding, on channels of its own."""
    is_there = {name for name in HINT_QUEUES if await _has_queue(connection, name)}
    async with connection.channel(publisher_confirms=False) as opened:
        channel = await opened.get_underlay_channel()
        for exchange in EXCHANGES:
            await channel.exchange_declare(exchange.name, exchange_type=exchange.kind, durable=True)
        for name in queue_names():
            if name in is_there:
                continue  # of the type that whoever runs the broker has chosen
            await channel.queue_declare(name, durable=True, arguments=dict(QUORUM))
        for bound in bindings():
            await channel.queue_bind(bound.queue, bound.exchange, bound.key)


async def has_mark(connection: AbstractConnection, name: str) -> bool:
    """Whether a durable exchange of this name is there, on a channel of its own."""
    return await _finds(connection, lambda channel: channel.exchange_declare(name, passive=True))


async def count_messages(connection: AbstractConnection, names: Sequence[str]) -> dict[str, int]:
    """How many wait in each, on a channel of its own. The library's error where one is missing."""
    async with connection.channel(publisher_confirms=False) as opened:
        channel = await opened.get_underlay_channel()
        answers = {name: await channel.queue_declare(name, passive=True) for name in names}
    return {name: answer.message_count or 0 for name, answer in answers.items()}


async def _has_queue(connection: AbstractConnection, name: str) -> bool:
    return await _finds(connection, lambda channel: channel.queue_declare(name, passive=True))


async def _finds(
    connection: AbstractConnection, look: Callable[[AbstractChannel], Awaitable[object]]
) -> bool:
    """Whether what is looked for is there; the broker closes a channel that looked in vain."""
    async with connection.channel(publisher_confirms=False) as opened:
        try:
            await look(await opened.get_underlay_channel())
        except ChannelNotFoundEntity:
            return False
    return True


async def leave_mark(connection: AbstractConnection, name: str) -> None:
    """Declare it."""
    async with connection.channel(publisher_confirms=False) as opened:
        channel = await opened.get_underlay_channel()
        await channel.exchange_declare(name, exchange_type="direct", durable=True)
