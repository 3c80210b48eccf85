import asyncio
from urllib.error import URLError

import pytest

from bench.generator.job import Exactly
from bench.generator.tally import Tally
from bench.generator.wire import split
from bench.provider.calls import Calls
from bench.provider.completion import COMPLETION
from bench.provider.slow import Provider

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


async def test_it_answers_late_but_right_and_counts_calls_not_looks() -> None:
    provider = Provider(0.05)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(provider.connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    calls = Calls(port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    tally = Tally(Exactly(COMPLETION))
    tally.begin()
    for _ in range(2):
        began_at = loop.time()
        writer.write(REQUEST[:10])
        await writer.drain()
        writer.write(REQUEST[10:])
        head = await reader.readuntil(b"\r\n\r\n")
        _, body = split(head + await reader.readexactly(len(COMPLETION))) or (b"", b"")
        assert loop.time() - began_at >= 0.05
        tally.count(0.05, 200, body)
    assert tally.report().answers == 2
    for _ in range(2):
        assert await asyncio.to_thread(calls.count) == 2
    writer.close()
    server.close()
    await server.wait_closed()
    with pytest.raises(URLError):
        await asyncio.to_thread(calls.count)
