"""Every way in which an answer can fail to come, and whether the request may have been sent."""

import asyncio
import socket
import struct
import time
from datetime import timedelta

import pytest

from libs.common.settings import Secret
from services.executor.adapters.provider import ProviderOptions
from services.executor.domain.calls import FailureKind, ProviderConnection
from tests.support.provider_calls import LOOPBACK, answer_of, call, provider_with, sent, unsent
from tests.support.raw_server import RawServer, always, once, raw_server, reply, silence
from tests.support.waiting import until

OK = reply("200 OK", b'{"choices":[]}')
PROBABLY_UNUSED_PORT = 1


@pytest.mark.fault(55)
async def test_a_refused_connection_has_sent_nothing() -> None:
    async with provider_with() as provider:
        result = await call(provider, f"http://127.0.0.1:{PROBABLY_UNUSED_PORT}")

    assert result == unsent(FailureKind.REFUSED)


@pytest.mark.fault(55)
async def test_an_unknown_name_has_sent_nothing() -> None:
    async with provider_with() as provider:
        assert await call(provider, "https://nothing.invalid/v1") == unsent(FailureKind.DNS)


async def test_a_handshake_that_never_ends_has_sent_nothing() -> None:
    options = ProviderOptions(
        open_hosts=("127.0.0.1",), connect_timeout=LOOPBACK.connect_timeout / 50
    )

    async def stare(_: RawServer, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(stare) as server, provider_with(options) as provider:
        result = await call(provider, f"https://127.0.0.1:{server.port}")

    assert result == unsent(FailureKind.CONNECT_TIMEOUT)


async def test_a_deadline_that_passes_while_connecting_has_sent_nothing() -> None:
    async def stare(_: RawServer, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(stare) as server, provider_with() as provider:
        result = await call(provider, f"https://127.0.0.1:{server.port}", seconds=0.2)

    assert result == unsent(FailureKind.CONNECT_TIMEOUT)


@pytest.mark.fault(55)
async def test_a_server_that_speaks_no_tls_has_been_sent_nothing() -> None:
    async def greet(
        _: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with raw_server(greet) as server, provider_with() as provider:
        result = await call(provider, f"https://127.0.0.1:{server.port}")

    assert result == unsent(FailureKind.TLS)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX: y", "schlüssel", "a\x00", "x" * 1025])
async def test_a_key_that_cannot_stand_in_a_header_is_not_sent(key: str) -> None:
    async with raw_server(always(OK)) as server, provider_with() as provider:
        assert await call(provider, server.url, key=key) == unsent(FailureKind.BAD_KEY)

    assert server.connections == 0


@pytest.mark.parametrize("trace_id", ["", "a b", "a\r\nX: y", "a\x00", "ä", "x" * 513])
async def test_a_name_that_cannot_stand_in_a_header_is_not_sent(trace_id: str) -> None:
    async with raw_server(always(OK)) as server, provider_with() as provider:
        connection = ProviderConnection(
            connection_id="con_1", base_url=server.url, key=Secret("sk-1")
        )
        result = await provider.call(
            connection, "x", b"{}", timeout=timedelta(seconds=20), trace_id=trace_id
        )

    assert result == unsent(FailureKind.BAD_URL)
    assert server.connections == 0


@pytest.mark.alone
@pytest.mark.fault(56)
async def test_a_provider_that_never_answers_is_left_at_the_deadline() -> None:
    async with raw_server(silence) as server, provider_with() as provider:
        started = time.monotonic()
        result = await call(provider, server.url, seconds=0.3)

    assert result == sent(FailureKind.TIMEOUT_AFTER_SENDING)
    assert time.monotonic() - started < 2


@pytest.mark.alone
@pytest.mark.fault(57)
async def test_an_answer_that_drips_is_left_at_the_deadline_of_the_whole_call() -> None:
    async def drip(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        pace = asyncio.get_running_loop().create_future()
        for _ in range(1000):
            writer.write(b" ")
            await asyncio.wait([pace], timeout=0.02)

    async with raw_server(drip) as server, provider_with() as provider:
        started = time.monotonic()
        result = await call(provider, server.url, seconds=0.3)

    assert result == sent(FailureKind.TIMEOUT_AFTER_SENDING)
    assert time.monotonic() - started < 2


async def test_a_provider_that_does_not_read_is_left_at_the_deadline() -> None:
    finished = asyncio.Event()

    async def ignore(_: RawServer, __: asyncio.StreamReader, ___: asyncio.StreamWriter) -> None:
        await finished.wait()

    async with raw_server(ignore) as server, provider_with() as provider:
        result = await call(provider, server.url, body=bytes(32 * 1024 * 1024), seconds=0.5)
        finished.set()

    assert result == sent(FailureKind.TIMEOUT_AFTER_SENDING)


@pytest.mark.fault(58)
@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param((), id="before the answer"),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Le",), id="in the headers"),
        pytest.param((b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"a":1}',), id="in the body"),
        pytest.param(
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",), id="chunked"
        ),
        pytest.param((b"SSH-2.0-OpenSSH_9.2\r\n",), id="not HTTP"),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",), id="absurd length"),
        pytest.param((b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000,), id="endless header"),
    ],
)
async def test_an_answer_that_is_not_whole_is_cut(chunks: tuple[bytes, ...]) -> None:
    async with raw_server(once(*chunks)) as server, provider_with() as provider:
        assert await call(provider, server.url) == sent(FailureKind.CUT)


@pytest.mark.fault(58)
async def test_a_connection_that_is_reset_is_cut() -> None:
    async def reset(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with raw_server(reset) as server, provider_with() as provider:
        assert await call(provider, server.url) == sent(FailureKind.CUT)


async def test_a_cancelled_call_closes_its_connection() -> None:
    has_left = asyncio.Event()

    async def watch(
        state: RawServer, reader: asyncio.StreamReader, _: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        await reader.read()
        has_left.set()

    async with raw_server(watch) as server, provider_with() as provider:
        running = asyncio.create_task(call(provider, server.url))
        await until(lambda: bool(server.requests))
        running.cancel()
        async with asyncio.timeout(5):
            await has_left.wait()

    assert running.cancelled()


DISGUISES = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "localhost",
    "LOCALHOST.",
    "[::1]",
    "[::]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[fec0::1]",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "192.0.0.8",
    "224.0.0.1",
    "[ff02::1]",
]


@pytest.mark.parametrize("host", DISGUISES)
async def test_an_address_inside_is_refused_in_every_disguise(host: str) -> None:
    async with raw_server(always(OK)) as server, provider_with(ProviderOptions()) as provider:
        result = await call(provider, f"https://{host}:{server.port}/v1")

    refusals = (FailureKind.BLOCKED_ADDRESS, FailureKind.BAD_URL, FailureKind.DNS)
    assert result in [unsent(kind) for kind in refusals]
    assert server.connections == 0


async def test_a_public_name_that_leads_inside_is_refused() -> None:
    async with (
        raw_server(always(OK)) as server,
        provider_with(ProviderOptions(), lambda _: ["8.8.8.8", "127.0.0.1"]) as provider,
    ):
        result = await call(provider, f"https://api.example.test:{server.port}/v1")

    assert result == unsent(FailureKind.BLOCKED_ADDRESS)
    assert server.connections == 0


async def test_a_call_after_any_failure_works() -> None:
    broken = once(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    async with (
        raw_server(broken) as bad,
        raw_server(always(OK)) as good,
        provider_with() as provider,
    ):
        for _ in range(3):
            assert await call(provider, bad.url) == sent(FailureKind.CUT)
            assert (await answer_of(provider, good.url)).status_code == 200

    assert good.connections == 1
