"""`python -m bench.provider.slow <port> <seconds>`: the same answer, but only after a while.

nginx cannot wait, so this one runs where the provider should take its time. Like nginx it tells at
GET /status how many requests it has had.
"""

import asyncio
import sys
from typing import cast

import uvloop

from bench.generator.wire import split
from bench.provider.completion import COMPLETION

_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
_ANSWER = (_HEAD.format(len(COMPLETION)) + COMPLETION).encode()
_STATUS = "server accepts handled requests\n 0 0 {} \n"


class Provider:
    """Answers every call after the same time, and counts."""

    def __init__(self, seconds: float) -> None:
        """No call so far."""
        self.seconds = seconds
        self.requests = 0

    def connection(self) -> asyncio.Protocol:
        """One caller's."""
        return _Connection(self)


class _Connection(asyncio.Protocol):
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        provider = self._provider
        if self._buffer.startswith(b"GET ") and self._buffer.endswith(b"\r\n\r\n"):
            provider.requests += 1
            text = _STATUS.format(provider.requests)
            self._answer((_HEAD.format(len(text)) + text).encode())
        elif not self._buffer.startswith(b"GET ") and split(self._buffer) is not None:
            provider.requests += 1
            asyncio.get_running_loop().call_later(provider.seconds, self._answer, _ANSWER)
        else:
            return
        self._buffer = b""

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # a caller may leave when it likes
        self._transport = None

    def _answer(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


async def _serve(port: int, seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        Provider(seconds).connection, "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
