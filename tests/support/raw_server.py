"""A server that misbehaves on purpose: each test writes its own side of the wire."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


class RawServer:
    """`connections`: how many came; `requests`: the bytes of each request that was read."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[tuple[bytes, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def read_request(self, reader: asyncio.StreamReader) -> bool:
        """Read one request, head and body; False if the client has closed instead."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = (
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            length = next(lengths, 0)
            self.requests.append((head, await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        return True


@asynccontextmanager
async def raw_server(
    handler: Callable[[RawServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[RawServer]:
    """Serve `handler` on a free port of 127.0.0.1; its connections end with the block."""
    state = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                await handler(state, reader, writer)
        finally:
            writer.transport.abort()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: Python 3.11.7's streams complain about a cancelled one of theirs.
        state.connections += 1
        task = asyncio.create_task(run(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=1024)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        left = list(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await server.wait_closed()


def reply(status: str, body: bytes, *headers: str) -> bytes:
    """A whole HTTP answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def always(*chunks: bytes) -> Callable[..., Awaitable[None]]:
    """A handler that reads each request, sends `chunks`, and waits for the next one."""

    async def handle(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while await state.read_request(reader):
            writer.writelines(chunks)
            await writer.drain()

    return handle


def once(*chunks: bytes) -> Callable[..., Awaitable[None]]:
    """A handler that reads one request, sends `chunks` and closes."""

    async def handle(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        writer.writelines(chunks)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return handle


async def silence(
    state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """A handler that reads everything and never says a word."""
    await state.read_request(reader)
    await reader.read()
    writer.close()
