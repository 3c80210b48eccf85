"""The proxy does to a connection what it is told, and only that."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.support.proxy import PASS, SILENT, Flow, Proxy, through
from tests.support.raw_server import RawServer, raw_server
from tests.support.waiting import until

SOON = 5.0
LARGE = b"x" * 300_000


async def echo(_: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything back."""
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()
    writer.close()


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server(echo) as running:
        yield running


@pytest.fixture
def proxy(server: RawServer) -> Iterator[Proxy]:
    with Proxy(server.port).running() as running:
        yield running


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, text: bytes) -> None:
        self._writer.write(text)
        await self._writer.drain()

    async def hear(self, size: int) -> bytes:
        """Raises IncompleteReadError or ConnectionResetError where the connection ended."""
        return await self._reader.readexactly(size)

    async def ask(self, text: bytes) -> bytes:
        await self.say(text)
        return await self.hear(len(text))

    async def is_cut(self) -> bool:
        try:
            return await self._reader.read(1) == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def calling(proxy: Proxy) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        async with asyncio.timeout(SOON):
            yield Caller(reader, writer)
    finally:
        writer.transport.abort()


async def test_everything_passes_both_ways_unchanged(proxy: Proxy) -> None:
    async with calling(proxy) as one, calling(proxy) as other:
        assert await one.ask(b"first") == b"first"
        assert await other.ask(b"second") == b"second"
        heard = asyncio.create_task(one.hear(len(LARGE)))
        await one.say(LARGE)
        assert await heard == LARGE


async def test_a_slow_way_delays_and_loses_nothing(proxy: Proxy) -> None:
    async with calling(proxy) as caller:
        proxy.down = Flow(delay=0.2)
        began = time.monotonic()
        assert await caller.ask(b"slowly") == b"slowly"

        assert time.monotonic() - began >= 0.2
        proxy.down = PASS
        assert await caller.ask(b"again") == b"again"


@pytest.mark.parametrize("way", ["up", "down"])
async def test_what_a_silent_way_swallows_never_comes_and_the_connection_stays(
    proxy: Proxy, way: str
) -> None:
    async with calling(proxy) as caller:
        assert await caller.ask(b"before") == b"before"
        setattr(proxy, way, SILENT)
        await caller.say(b"lost")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await caller.hear(1)

        setattr(proxy, way, PASS)
        assert await caller.ask(b"after") == b"after"


async def test_a_half_open_connection_hides_that_the_server_hung_up(
    proxy: Proxy, server: RawServer
) -> None:
    proxy.up = proxy.down = SILENT
    async with calling(proxy) as caller:
        await until(lambda: server.connections == 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await caller.ask(b"anybody?")
        proxy.mend()
        assert await caller.is_cut()


async def test_a_cut_resets_what_is_open_and_what_comes_until_it_is_mended(proxy: Proxy) -> None:
    async with calling(proxy) as caller:
        assert await caller.ask(b"before") == b"before"
        proxy.cut()
        assert await caller.is_cut()
    async with calling(proxy) as caller:
        assert await caller.is_cut()

    proxy.mend()
    async with calling(proxy) as caller:
        assert await caller.ask(b"after") == b"after"


async def test_a_connection_is_cut_at_the_bytes_named_even_if_they_come_in_pieces(
    proxy: Proxy,
) -> None:
    proxy.down = Flow(cut_at=b"COMMIT")
    async with calling(proxy) as caller:
        assert await caller.ask(b"BEGIN COM") == b"BEGIN COM"
        await caller.say(b"MIT")
        assert await caller.is_cut()
    async with calling(proxy) as caller:
        assert await caller.ask(b"ROLLBACK") == b"ROLLBACK"

    assert proxy.cuts == 1


async def test_where_nobody_listens_behind_it_the_caller_is_cut() -> None:
    async with raw_server(echo) as server:
        port = server.port
    with Proxy(port).running() as proxy:
        async with calling(proxy) as caller:
            assert await caller.is_cut()


def test_settings_are_led_through_the_proxies_of_the_servers_they_name() -> None:
    proxy = Proxy(2_000)
    with proxy.running():
        settings = {"A_URL": "amqp://u:p@127.0.0.1:2000/", "PORT": "2000"}

        led = through(settings, [proxy])

    assert led == {"A_URL": f"amqp://u:p@127.0.0.1:{proxy.port}/", "PORT": "2000"}
