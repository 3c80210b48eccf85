"""Connections are kept, but never beyond their use: a call into a dying one may be paid twice."""

import asyncio
import time
from datetime import timedelta

import msgspec

from services.executor.adapters.provider import pool
from tests.support.provider_calls import LOOPBACK, answer_of, call, provider_with
from tests.support.raw_server import RawServer, always, raw_server, reply
from tests.support.waiting import until

OK = reply("200 OK", b'{"choices":[]}')
PATIENT = msgspec.structs.replace(LOOPBACK, keepalive_expiry=timedelta(hours=1))


async def test_calls_one_after_the_other_share_a_connection() -> None:
    async with raw_server(always(OK)) as server, provider_with() as provider:
        for _ in range(5):
            await answer_of(provider, server.url)

    assert (server.connections, len(server.requests)) == (1, 5)


async def test_many_calls_at_once_all_get_their_answer() -> None:
    async with raw_server(always(OK)) as server, provider_with() as provider:
        for _ in range(2):
            calls = (answer_of(provider, server.url) for _ in range(300))
            assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}

    assert server.connections <= 300
    assert len(server.requests) == 600


async def test_a_connection_that_was_closed_while_idle_is_not_used_again() -> None:
    closing = asyncio.Event()

    async def answer_and_close(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        writer.write(OK)
        await writer.drain()
        await closing.wait()

    async with raw_server(answer_and_close) as server, provider_with(PATIENT) as provider:
        await answer_of(provider, server.url)
        kept = provider._pool._by_age  # noqa: SLF001 - the only place that shows an idle connection
        closing.set()
        await until(lambda: not any(connection.is_idle for connection in kept))
        await answer_of(provider, server.url)

    assert server.connections == 2


STRAY = reply("200 OK", b'{"somebody":"else"}')


async def test_a_second_answer_behind_the_first_is_nobody_s() -> None:
    async with raw_server(always(OK + STRAY)) as server, provider_with() as provider:
        for _ in range(3):
            assert (await answer_of(provider, server.url)).body == b'{"choices":[]}'

    assert server.connections == 3


async def test_an_answer_that_nobody_asked_for_is_nobody_s() -> None:
    may_speak = asyncio.Event()

    async def speak_out_of_turn(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        writer.write(OK)
        await may_speak.wait()
        writer.write(STRAY)
        await reader.read()

    async with raw_server(speak_out_of_turn) as server, provider_with(PATIENT) as provider:
        await answer_of(provider, server.url)
        kept = provider._pool._by_age  # noqa: SLF001 - the only place that shows an idle connection
        may_speak.set()
        await until(lambda: not any(connection.is_idle for connection in kept))

        assert (await answer_of(provider, server.url)).body == b'{"choices":[]}'


async def test_a_connection_is_not_used_again_when_the_provider_says_so() -> None:
    last = reply("200 OK", b"{}", "Connection: close")
    async with raw_server(always(last)) as server, provider_with() as provider:
        for _ in range(2):
            await answer_of(provider, server.url)

    assert server.connections == 2


async def test_a_connection_is_not_used_beyond_its_expiry() -> None:
    options = msgspec.structs.replace(LOOPBACK, keepalive_expiry=timedelta(0))
    async with raw_server(always(OK)) as server, provider_with(options) as provider:
        for _ in range(2):
            await answer_of(provider, server.url)

    assert server.connections == 2


async def test_a_connection_that_expired_in_the_pool_is_not_taken() -> None:
    options = msgspec.structs.replace(LOOPBACK, keepalive_expiry=timedelta(milliseconds=300))
    async with raw_server(always(OK)) as server, provider_with(options) as provider:
        await answer_of(provider, server.url)
        expired_at = time.monotonic() + 0.3
        await until(lambda: time.monotonic() > expired_at)
        await answer_of(provider, server.url)

    assert server.connections == 2


async def test_an_answer_that_was_not_read_to_its_end_costs_the_connection() -> None:
    huge = reply("500 Oops", bytes(1024 * 1024))
    async with raw_server(always(huge)) as server, provider_with() as provider:
        for _ in range(2):
            await answer_of(provider, server.url)

    assert server.connections == 2


async def test_connections_of_origins_nobody_calls_any_more_do_not_pile_up() -> None:
    options = msgspec.structs.replace(LOOPBACK, keepalive_expiry=timedelta(0))
    async with (
        raw_server(always(OK)) as first,
        raw_server(always(OK)) as second,
        provider_with(options) as provider,
    ):
        await answer_of(provider, first.url)
        await answer_of(provider, second.url)

        assert len(provider._pool._by_age) <= 1  # noqa: SLF001 - nothing else shows it
        assert len(provider._pool._idle) <= 1  # noqa: SLF001 - as above


async def test_an_origin_whose_last_connection_failed_leaves_nothing_behind() -> None:
    async def answer_one(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.read_request(reader)
        writer.write(OK)
        await state.read_request(reader)

    async with raw_server(answer_one) as server, provider_with(PATIENT) as provider:
        await answer_of(provider, server.url)
        await call(provider, server.url)

        assert (server.connections, len(server.requests)) == (1, 2)
        assert not provider._pool._by_age  # noqa: SLF001 - nothing else shows it
        assert not provider._pool._idle  # noqa: SLF001 - as above


async def test_no_more_than_so_many_connections_are_kept() -> None:
    async with raw_server(always(OK)) as server, provider_with() as provider:
        await asyncio.gather(*(call(provider, server.url) for _ in range(pool.MAX_IDLE + 20)))

        assert len(provider._pool._by_age) <= pool.MAX_IDLE  # noqa: SLF001 - nothing else shows it
