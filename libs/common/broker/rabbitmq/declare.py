"""Declares the topology. Harmless when it is there; a wiped broker heals."""

from aio_pika.abc import AbstractConnection

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
