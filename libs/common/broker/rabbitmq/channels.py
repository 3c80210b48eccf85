"""Opening channels."""

import msgspec
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq import Channel


class OpenChannel(msgspec.Struct, frozen=True):
    """aio_pika's channel, and the AMQP channel under it that the hot path speaks to.

    The first is held so that nothing collects it: collecting it would close the second.
    """

    holder: AbstractChannel
    amqp: Channel


async def open_channel(connection: AbstractConnection, *, is_publishing: bool) -> OpenChannel:
    """A publishing channel has confirms, and reports what it could not route as an error."""
    holder = connection.channel(publisher_confirms=is_publishing, on_return_raises=is_publishing)
    await holder
    amqp = await holder.get_underlay_channel()
    if not isinstance(amqp, Channel):
        raise TypeError("The library's channel is not the one that this package is written for.")
    return OpenChannel(holder, amqp)
