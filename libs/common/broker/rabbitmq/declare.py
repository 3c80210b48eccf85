"""Declares the topology. Harmless when it is there; a wiped broker heals."""

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from libs.common.broker.topology import EXCHANGES, QUORUM, bindings, queue_names


async def declare_topology(connection: AbstractConnection) -> None:
    """Declare every exchange, queue and binding, on a channel of its own."""
    async with connection.channel(publisher_confirms=False) as opened:
        channel = await opened.get_underlay_channel()
        for exchange in EXCHANGES:
            await channel.exchange_declare(exchange.name, exchange_type=exchange.kind, durable=True)
        for name in queue_names():
            await channel.queue_declare(name, durable=True, arguments=dict(QUORUM))
        for bound in bindings():
            await channel.queue_bind(bound.queue, bound.exchange, bound.key)


async def has_mark(connection: AbstractConnection, name: str) -> bool:
    """Whether a durable exchange of this name is there, on a channel of its own."""
    async with connection.channel(publisher_confirms=False) as opened:
        channel = await opened.get_underlay_channel()
        try:
            await channel.exchange_declare(name, passive=True)
        except ChannelNotFoundEntity:
            return False
    return True


async def leave_mark(connection: AbstractConnection, name: str) -> None:
    """Declare it."""
    async with connection.channel(publisher_confirms=False) as opened:
        channel = await opened.get_underlay_channel()
        await channel.exchange_declare(name, exchange_type="direct", durable=True)
