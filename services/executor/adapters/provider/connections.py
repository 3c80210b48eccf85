"""One TCP or TLS connection, which carries one call after the other, straight on asyncio.

Between calls it knows at once, without a system call, that the other side has closed it or has
spoken out of turn.
"""

import asyncio
import socket
import ssl
from typing import Final, cast

from services.executor.adapters.provider.answers import AnswerReader

_MAX_JOINED_BYTES: Final = 64 * 1024
"""A body up to here is copied behind its head, so that both leave together."""

_KEEPALIVE: Final = (
    # A provider may think for minutes in silence, and a NAT forgets the silent (AWS: 350 s).
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30),
)


class Connection(asyncio.Protocol):
    """HTTP/1.1, without a deadline of its own: that is the caller's business.

    `is_idle`: it may carry another call. The last answer left nothing behind that could be taken
    for the next one's, and the other side has been silent since.
    """

    def __init__(self) -> None:
        """Not connected yet."""
        self.is_idle = False
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._over: asyncio.Future[None] | None = None
        self._was_used = False
        self._early = b""
        self._is_closed = False
        self._was_reset = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection, TLS included, is there."""
        self._transport = cast("asyncio.Transport", transport)
        raw = transport.get_extra_info("socket")
        for option in _KEEPALIVE:
            raw.setsockopt(*option)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self._reader:
            self._reader.feed(data)
            self._tell(self._reader)
        elif self._was_used:
            self.close()
        else:
            self._early += data

    def eof_received(self) -> None:
        """asyncio: the other side sends no more; returning None closes our side too."""
        self._end(was_reset=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        self._end(was_reset=exc is not None)

    async def exchange(self, head: bytes, body: bytes, reader: AnswerReader) -> None:
        """Send one request, and feed `reader` until it is over.

        Whatever comes of it, even a cancellation: close the connection unless it `is_idle` then.
        """
        self.is_idle = False
        self._was_used = True
        self._reader = reader
        try:
            self._send(head, body, reader)
            if not reader.is_over:
                self._over = asyncio.get_running_loop().create_future()
                await self._over
            self.is_idle = reader.can_be_followed and not self._is_spoilt()
        finally:
            reader.close(is_orderly=False)
            self._reader = self._over = None

    def close(self) -> None:
        """At once: whatever is still on its way is of no interest any more."""
        self.is_idle = False
        if self._transport:
            self._transport.abort()

    def _send(self, head: bytes, body: bytes, reader: AnswerReader) -> None:
        """Hand all of it over: it is in memory anyway, nothing is gained by waiting for room.

        A server that turns everybody away may have answered already: nobody else was asked here.
        """
        if self._early:
            reader.feed(self._early)
        if self._is_closed:
            reader.close(is_orderly=not self._was_reset)
        if reader.is_over or self._transport is None:
            return
        if len(body) <= _MAX_JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def _is_spoilt(self) -> bool:
        """Closed; or out of step: it spoke before it was asked, or before it was asked in full."""
        is_unsent = self._transport is None or self._transport.get_write_buffer_size() > 0
        return self._is_closed or is_unsent or bool(self._early)

    def _end(self, *, was_reset: bool) -> None:
        self.is_idle = False
        if not self._is_closed:
            self._is_closed, self._was_reset = True, was_reset
        if self._reader:
            self._reader.close(is_orderly=not was_reset)
            self._tell(self._reader)

    def _tell(self, reader: AnswerReader) -> None:
        if reader.is_over and self._over and not self._over.done():
            self._over.set_result(None)


async def connect(
    address: str, port: int, tls: ssl.SSLContext | None, server_name: str
) -> Connection:
    """Connect to `address`, a literal; with `tls`, as a client of `server_name`. Raises OSError."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        Connection,
        address,
        port,
        ssl=tls,
        server_hostname=server_name if tls else None,
        # Nothing but a literal: a name here would be looked up a second time, unchecked.
        flags=socket.AI_NUMERICHOST,
    )
    return connection
