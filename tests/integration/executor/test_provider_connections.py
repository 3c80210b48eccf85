"""One connection and its calls: what spoils it, what ends it; nobody gets another's answer.

On asyncio's own loop and on uvloop, which is what executors run on: the two differ in when they
write, and in what they tell of an end.
"""

import asyncio
import gc
import socket
import struct
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import uvloop

from services.executor.adapters.provider import ProviderOptions
from services.executor.adapters.provider.answers import AnswerReader
from services.executor.adapters.provider.connections import Connection, connect
from services.executor.domain.calls import Answer, FailureKind
from tests.support.certificates import self_signed, server_context
from tests.support.provider_calls import LOOPBACK, answer_of, call, provider_with, sent
from tests.support.raw_server import RawServer, always, once, raw_server, reply, silence
from tests.support.waiting import until

Handler = Callable[[RawServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

MIB: Final = 1024 * 1024
HEAD: Final = b"GET /v1 HTTP/1.1\r\nHost: h\r\n\r\n"
OK: Final = reply("200 OK", b'{"mine":1}')
STRAY: Final = reply("200 OK", b'{"somebody":"else"}')
PATIENT: Final = msgspec.structs.replace(LOOPBACK, keepalive_expiry=timedelta(hours=1))


Main = Coroutine[Any, Any, None]
Run = Callable[[Main], Awaitable[None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs it on a loop of that kind, of its own, in a thread; for a minute at most."""
    runner = asyncio.run if request.param == "asyncio" else uvloop.run
    return lambda main: asyncio.to_thread(runner, asyncio.wait_for(main, 60))


@asynccontextmanager
async def connected(server: RawServer) -> AsyncIterator[Connection]:
    connection = await connect("127.0.0.1", server.port, None, "")
    try:
        yield connection
    finally:
        connection.close()


def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_the_next_call_never_gets_the_rest_of_the_last_one_s_answer(run: Run) -> None:
    """However the stray bytes come: with the answer, behind it, or while the next call goes out."""

    async def main() -> None:
        for pieces in ((OK + STRAY,), (OK, STRAY), (OK[:-3], OK[-3:] + STRAY[:20], STRAY[20:])):
            async with raw_server(always(*pieces)) as server, provider_with(PATIENT) as provider:
                for _ in range(5):
                    assert (await answer_of(provider, server.url)).body == b'{"mine":1}'

    await run(main())


async def test_each_of_many_callers_gets_the_answer_to_their_own_question(run: Run) -> None:
    async def echo(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while await state.read_request(reader):
            body = state.requests.pop()[1]
            writer.write(reply("200 OK", body) + (STRAY if b"7" in body else b""))
            await writer.drain()

    async def ask(provider: Any, url: str, number: int) -> None:
        for turn in range(5):
            body = f'{{"{number}":{turn}}}'.encode()
            assert (await answer_of(provider, url, body=body)).body == body

    async def main() -> None:
        async with raw_server(echo) as server, provider_with(PATIENT) as provider:
            await asyncio.gather(*(ask(provider, server.url, number) for number in range(100)))

    await run(main())


async def test_an_answer_that_came_before_the_question_is_read_and_nothing_is_sent(
    run: Run,
) -> None:
    """A crowded server turns everybody away unheard; nobody else ever asked on this connection."""

    async def turn_away(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(reply("503 Busy", b"{}"))
        await state.read_request(reader)

    async def main() -> None:
        async with raw_server(turn_away) as server, connected(server) as connection:
            await until(lambda: bool(connection._early))  # noqa: SLF001 - nothing else shows it
            reader = AnswerReader(MIB)
            await connection.exchange(HEAD, b"", reader)

            assert reader.answer == Answer(503, {}, b"{}")
            assert not connection.is_idle
            assert server.requests == []

    await run(main())


async def test_a_connection_that_ended_before_the_question_is_cut(run: Run) -> None:
    async def leave(_: RawServer, __: asyncio.StreamReader, ___: asyncio.StreamWriter) -> None:
        return

    async def main() -> None:
        async with raw_server(leave) as server, connected(server) as connection:
            await until(lambda: connection._is_closed)  # noqa: SLF001 - nothing else shows it
            reader = AnswerReader(MIB)
            await connection.exchange(HEAD, b"", reader)

            assert reader.answer == sent(FailureKind.CUT)
            assert not connection.is_idle

    await run(main())


async def test_a_large_request_that_is_refused_early_is_not_sent_to_its_end(run: Run) -> None:
    read = 0

    async def refuse(
        _: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal read
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply("413 Too Large", b"{}"))
        await asyncio.wait_for(has_answer.wait(), 30)
        while piece := await reader.read(MIB):
            read += len(piece)
        has_left.set()

    async def main() -> None:
        async with raw_server(refuse) as server, provider_with(PATIENT) as provider:
            answer = await answer_of(provider, server.url, body=bytes(64 * MIB))
            has_answer.set()
            await asyncio.wait_for(has_left.wait(), 30)
        assert answer.status_code == 413

    has_answer, has_left = asyncio.Event(), asyncio.Event()
    await run(main())
    assert read < 32 * MIB


@pytest.mark.fault(58)
@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nConte", OK[:-1], b"HTTP/1.1 200 OK\r\n\r\n{}"],
    ids=["before the answer", "in the head", "in the body", "in a body without a length"],
)
async def test_a_reset_in_the_middle_is_cut(run: Run, answer: bytes) -> None:
    has_come = asyncio.Event()

    async def tear(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        writer.write(answer)
        reset(writer)
        has_come.set()

    async def main() -> None:
        async with raw_server(tear) as server, provider_with() as provider:
            assert await call(provider, server.url) == sent(FailureKind.CUT)

    await run(main())


async def test_a_kept_connection_that_ends_unanswered_is_cut_and_nothing_is_sent_twice(
    run: Run,
) -> None:
    async def answer_one(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        writer.write(OK)
        await state.read_request(reader)

    async def main() -> None:
        async with raw_server(answer_one) as server, provider_with(PATIENT) as provider:
            await answer_of(provider, server.url)

            assert await call(provider, server.url) == sent(FailureKind.CUT)
            assert (server.connections, len(server.requests)) == (1, 2)

    await run(main())


async def test_a_server_that_closes_its_side_with_the_answer_is_read(run: Run) -> None:
    async def half_close(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{}")
        writer.write_eof()
        await reader.read()

    async def main() -> None:
        async with raw_server(half_close) as server, provider_with(PATIENT) as provider:
            for _ in range(2):
                assert (await answer_of(provider, server.url)).body == b"{}"
            assert server.connections == 2

    await run(main())


async def test_a_connection_of_a_cancelled_call_is_closed_and_its_answer_is_nobody_s(
    run: Run,
) -> None:
    async def main() -> None:
        may_answer = asyncio.Event()

        async def answer_late(
            state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await state.read_request(reader)
            if len(server.requests) == 1:
                await may_answer.wait()
                writer.write(STRAY)
            writer.write(OK)
            await reader.read()

        async with raw_server(answer_late) as server, provider_with(PATIENT) as provider:
            running = asyncio.create_task(call(provider, server.url))
            await until(lambda: bool(server.requests))
            running.cancel()
            may_answer.set()

            assert (await answer_of(provider, server.url)).body == b'{"mine":1}'
            assert server.connections == 2

    await run(main())


async def test_a_call_cancelled_in_the_moment_of_its_answer_keeps_no_connection(run: Run) -> None:
    async def main() -> None:
        async with raw_server(silence) as server, connected(server) as connection:
            reader = AnswerReader(MIB)
            running = asyncio.create_task(connection.exchange(HEAD, b"", reader))
            await until(lambda: bool(server.requests))
            connection.data_received(OK)
            running.cancel()
            await asyncio.wait([running])

            assert running.cancelled()
            assert reader.can_be_followed
            assert not connection.is_idle

    await run(main())


async def test_what_a_cancelled_call_has_read_does_not_wait_for_the_collector(run: Run) -> None:
    async def main() -> None:
        async with raw_server(silence) as server, connected(server) as connection:
            reader = AnswerReader(MIB)
            running = asyncio.create_task(connection.exchange(HEAD, b"", reader))
            await until(lambda: bool(server.requests))
            connection.data_received(OK[:-1])
            running.cancel()
            await asyncio.wait([running])
            watch = weakref.ref(reader)
            del reader, running

            assert watch() is None

    gc.disable()
    try:
        await run(main())
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "follow",
    [
        pytest.param(lambda connection: connection.data_received(STRAY), id="a second answer"),
        pytest.param(lambda connection: connection.eof_received(), id="an end"),
        pytest.param(lambda connection: connection.connection_lost(None), id="a loss"),
        pytest.param(lambda connection: connection.connection_lost(OSError()), id="a reset"),
    ],
)
async def test_what_follows_in_the_moment_of_the_answer_spoils_the_connection(
    run: Run, follow: Callable[[Connection], None]
) -> None:
    async def main() -> None:
        async with raw_server(silence) as server, connected(server) as connection:
            reader = AnswerReader(MIB)
            running = asyncio.create_task(connection.exchange(HEAD, b"", reader))
            await until(lambda: bool(server.requests))
            connection.data_received(OK)
            follow(connection)
            await running

            assert reader.answer == Answer(200, {}, b'{"mine":1}')
            assert not connection.is_idle

    await run(main())


@pytest.mark.parametrize("body", [b"", b"x" * 65_536, b"x" * 65_537, b"x" * (3 * MIB)])
async def test_a_body_of_any_size_comes_and_goes(run: Run, body: bytes) -> None:
    async def main() -> None:
        async with (
            raw_server(always(reply("200 OK", body))) as server,
            provider_with() as provider,
        ):
            for _ in range(2):
                assert (await answer_of(provider, server.url, body=body)).body == body
            assert [sent_body for _, sent_body in server.requests] == [body, body]
            assert server.connections == 1

    await run(main())


async def test_over_tls_it_is_all_the_same(run: Run, tmp_path: Path) -> None:
    pem = self_signed(tmp_path, "api.example.test")
    options = ProviderOptions(
        open_hosts=("api.example.test",), ca_file=str(pem), keepalive_expiry=timedelta(hours=1)
    )
    long = b"x" * (3 * MIB)
    cases: list[tuple[Handler, bytes, int]] = [
        (always(OK), b'{"mine":1}', 1),
        (always(reply("200 OK", long)), long, 1),
        (always(OK + STRAY), b'{"mine":1}', 3),
        (once(b"HTTP/1.1 200 OK\r\n\r\n{}"), b"{}", 3),
    ]

    async def main() -> None:
        for handler, body, connections in cases:
            async with (
                raw_server(handler, tls=server_context(pem)) as server,
                provider_with(options, lambda _: ["127.0.0.1"]) as provider,
            ):
                url = f"https://api.example.test:{server.port}/v1"
                for _ in range(3):
                    assert (await answer_of(provider, url, body=long)).body == body
                assert server.connections == connections

    await run(main())
