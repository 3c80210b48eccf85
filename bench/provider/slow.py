"""`python -m bench.provider.slow <port> <seconds>`: the same answer, but only after a while.

nginx cannot wait, so this one runs where the provider should take its time.
"""

import asyncio
import sys
from typing import cast

import uvloop

from bench.generator.wire import split
from bench.provider.completion import COMPLETION

_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
_ANSWER = (_HEAD.format(len(COMPLETION)) + COMPLETION).encode()


class _Slow(asyncio.Protocol):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if split(self._buffer) is not None:
            self._buffer = b""
            asyncio.get_running_loop().call_later(self._seconds, self._answer)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # a caller may leave when it likes
        self._transport = None

    def _answer(self) -> None:
        if self._transport is not None:
            self._transport.write(_ANSWER)


async def _serve(port: int, seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: _Slow(seconds), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
