"""One TCP or TLS connection, as httpcore2 wants it, straight on asyncio's transports.

httpcore2's own streams go through anyio, whose pure-Python TLS and checkpoints cost more than the
rest of a call; and on a kept connection this one knows at once, without a system call, that the
other side has closed it or has spoken out of turn.
"""

import asyncio
import socket
import ssl
from typing import Any, Final, cast

import httpcore2

_MAX_BUFFERED: Final = 256 * 1024

_KEEPALIVE: Final = (
    # A provider may think for minutes in silence, and a NAT forgets the silent (AWS: 350 s).
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30),
)


class Stream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """Bytes in both directions. Timeouts are the caller's own business."""

    def __init__(self) -> None:
        """Not connected yet."""
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._is_paused = False
        self._is_over = False
        self._error: Exception | None = None
        self._has_news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection, TLS included, is there."""
        self._transport = cast("asyncio.Transport", transport)
        raw = transport.get_extra_info("socket")
        for option in _KEEPALIVE:
            raw.setsockopt(*option)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        self._received += data
        if len(self._received) > _MAX_BUFFERED and self._transport and not self._is_paused:
            self._transport.pause_reading()
            self._is_paused = True
        self._has_news.set()

    def eof_received(self) -> None:
        """asyncio: the other side sends no more; returning None closes our side too."""
        self._is_over = True
        self._has_news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        self._is_over = True
        self._error = exc
        self._has_news.set()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - httpcore2's signature
        """Some bytes; empty once the other side has closed. Raises httpcore2.ReadError."""
        while not self._received and not self._is_over:
            self._has_news.clear()
            await self._has_news.wait()
        if not self._received and self._error:
            raise httpcore2.ReadError from self._error
        chunk = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        self._read_on()
        return chunk

    def _read_on(self) -> None:
        """Let more come in, if there is room for it and it can come at all."""
        is_due = self._is_paused and not self._is_over and len(self._received) <= _MAX_BUFFERED
        if is_due and self._transport:
            self._transport.resume_reading()
            self._is_paused = False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - httpcore2's signature
        """Hand over `buffer`: it is in memory anyway, so nothing is gained by waiting for room.

        Raises httpcore2.WriteError once the other side has closed.
        """
        if self._is_over or self._transport is None:
            raise httpcore2.WriteError
        self._transport.write(buffer)

    async def aclose(self) -> None:
        """Close at once: whatever is still on its way is of no interest any more."""
        if self._transport:
            self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        """`is_readable`: whether an idle connection is spoilt, by an end or by unasked bytes."""
        if info == "is_readable":
            return self._is_over or bool(self._received)
        return self._transport.get_extra_info(info) if self._transport else None


async def connect(address: str, port: int, tls: ssl.SSLContext | None, server_name: str) -> Stream:
    """Connect to `address`, a literal; with `tls`, as a client of `server_name`. Raises OSError."""
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_connection(
        Stream,
        address,
        port,
        ssl=tls,
        server_hostname=server_name if tls else None,
        # Nothing but a literal: a name here would be looked up a second time, unchecked.
        flags=socket.AI_NUMERICHOST,
    )
    return stream
