"""HTTP/1.1 as little as load needs it: kept-alive connections, JSON bodies, known lengths.

A general client costs several times the CPU of the system it is to load, on the same machine.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

_CONNECT_SECONDS: Final = 2.0
_HEAD_END: Final = b"\r\n\r\n"


class NoAnswer(Exception):
    """The call may have had any effect, or none; the text is the kind of failure."""


class Answer(msgspec.Struct, frozen=True):
    """One response. Header names are lower-case."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


class _Connection(msgspec.Struct):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class LeanHttp:
    """Calls any number of origins; close it at the end."""

    def __init__(self) -> None:
        """Nothing is connected yet."""
        self._idle: dict[str, list[_Connection]] = defaultdict(list)

    async def call(self, origin: str, head: bytes, body: bytes, seconds: float) -> Answer:
        """Send one request. `head`: request line and headers, without host and length.

        Raises NoAnswer. A kept connection may have been closed meanwhile: that is no answer too,
        because nobody can know what became of the request.
        """
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(seconds):
                connection = self._take_idle(origin) or await _connect(origin)
                answer = await _exchange(connection, head, body)
        except (OSError, EOFError, TimeoutError, ValueError) as failure:
            if connection is not None:
                connection.writer.transport.abort()
            raise NoAnswer(type(failure).__name__) from None
        except asyncio.CancelledError:
            if connection is not None:
                connection.writer.transport.abort()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            connection.writer.transport.abort()
        else:
            self._idle[origin].append(connection)
        return answer

    def close(self) -> None:
        """Abort what is still connected."""
        for connections in self._idle.values():
            for connection in connections:
                connection.writer.transport.abort()
        self._idle.clear()

    def _take_idle(self, origin: str) -> _Connection | None:
        idle = self._idle[origin]
        while idle:
            connection = idle.pop()
            if not connection.reader.at_eof() and not connection.writer.is_closing():
                return connection
            connection.writer.transport.abort()
        return None


async def _connect(origin: str) -> _Connection:
    address = urlsplit(origin)
    async with asyncio.timeout(_CONNECT_SECONDS):
        return _Connection(*await asyncio.open_connection(address.hostname, address.port))


async def _exchange(connection: _Connection, head: bytes, body: bytes) -> Answer:
    length = b"content-length: %d\r\n" % len(body) if body else b""
    connection.writer.write(head + b"host: test\r\n" + length + b"\r\n" + body)
    raw = await connection.reader.readuntil(_HEAD_END)
    status, *lines = raw.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    content = await connection.reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(status.split(" ", 2)[1]), headers, content)
