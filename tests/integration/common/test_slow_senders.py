"""Connections that send slowly, too much, or nonsense, over raw sockets to a real server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from libs.common.web.connections import Bounds
from tests.support.raw_http import RawConnection
from tests.support.raw_site import Site, running
from tests.support.waiting import until

HEAD_SECONDS = 1.0
QUICK = Bounds(head_time=timedelta(seconds=HEAD_SECONDS), head_bytes=4096, connections=600)
GOOD = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[Site]:
    async with running(QUICK) as site:
        yield site


async def is_served(connection: RawConnection) -> bool:
    await connection.send(GOOD)
    return (await connection.read()).status == 200


async def trickle(connection: RawConnection, head: bytes) -> float:
    """Send byte by byte until the other end hangs up; the seconds that took."""
    started = time.monotonic()
    ended = asyncio.create_task(connection.is_closed())
    for byte in head:
        try:
            await connection.send(bytes([byte]))
        except ConnectionError:
            break
        await asyncio.wait([ended], timeout=0.05)
        if ended.done():
            break
    assert await ended
    return time.monotonic() - started


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: " + b"t" * 1000,
        b"GET /" + b"t" * 1000,
        b"\r\n" * 500,
    ],
    ids=["header", "path", "blank lines"],
)
async def test_a_head_that_trickles_is_cut_on_time_while_others_are_served(
    site: Site, head: bytes
) -> None:
    async with await site.open() as slow, await site.open() as good:
        trickling = asyncio.create_task(trickle(slow, head))
        while not trickling.done():
            assert await is_served(good)
            await asyncio.wait([trickling], timeout=0.1)
        took = await trickling

    assert HEAD_SECONDS * 0.9 <= took < HEAD_SECONDS * 5


async def test_who_connects_and_says_nothing_is_cut(site: Site) -> None:
    started = time.monotonic()
    async with await site.open() as silent:
        assert await silent.is_closed()

    assert HEAD_SECONDS * 0.9 <= time.monotonic() - started < HEAD_SECONDS * 5


@pytest.mark.parametrize("start", [b"G", b"\r\n"], ids=["head", "blank line"])
async def test_the_next_head_on_a_kept_connection_has_its_own_time(
    site: Site, start: bytes
) -> None:
    async with await site.open() as kept:
        assert await is_served(kept)
        assert await stays_open(kept, HEAD_SECONDS * 1.5)  # idle is allowed for longer
        assert await is_served(kept)
        await kept.send(start)
        started = time.monotonic()
        assert await kept.is_closed()

    assert HEAD_SECONDS * 0.9 <= time.monotonic() - started < HEAD_SECONDS * 5


async def stays_open(connection: RawConnection, seconds: float) -> bool:
    """Whether it does, for so long; what it may still receive is not lost."""
    ended = asyncio.create_task(connection.is_closed())
    done, _ = await asyncio.wait([ended], timeout=seconds)
    ended.cancel()
    await asyncio.wait([ended])
    return not done


async def test_half_a_head_behind_a_long_call_does_not_cut_that_call(site: Site) -> None:
    async with await site.open() as connection:
        await connection.send(GOOD.replace(b"/ ", b"/slow ") + b"GET / HT")
        assert await stays_open(connection, HEAD_SECONDS * 2)
        site.app.release.set()
        assert (await connection.read()).status == 200
        assert await connection.is_closed()  # now its time has been up for long


async def test_a_body_that_comes_after_its_answer_holds_nothing_open(site: Site) -> None:
    async with await site.open() as connection:
        await connection.send(b"POST /early HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n")
        assert (await connection.read()).status == 200

        assert await trickle(connection, b"x" * 999) < HEAD_SECONDS * 5


async def test_a_slow_body_is_not_the_servers_business(site: Site) -> None:
    async with await site.open() as connection:
        await connection.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nx")
        assert await stays_open(connection, HEAD_SECONDS * 2)
        await connection.send(b"x")
        assert (await connection.read()).body == b"2"


async def test_five_hundred_slow_connections_do_not_stop_a_good_client(site: Site) -> None:
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(await site.open()) for _ in range(500)]
        for connection in slow:
            await connection.send(GOOD[:20])
        started = time.monotonic()
        for _ in range(20):
            async with await site.open() as good:
                assert await is_served(good)
        assert time.monotonic() - started < HEAD_SECONDS * 5
        assert all(await asyncio.gather(*(connection.is_closed() for connection in slow)))


async def test_beyond_the_most_connections_one_is_told_so_and_the_others_go_on() -> None:
    async with running(Bounds(connections=2)) as small, AsyncExitStack() as stack:
        first, second, third, silent = [
            await stack.enter_async_context(await small.open()) for _ in range(4)
        ]
        await third.send(GOOD)
        answer = await third.read()

        assert (answer.status, answer.code) == (503, "unavailable")
        assert (answer.headers["connection"], answer.headers["retry-after"]) == ("close", "1")
        assert await third.is_closed()
        assert await silent.is_closed()
        assert await is_served(first)
        assert await is_served(second)
        assert small.app.calls == 2
        await first.close()
        await until(lambda: has_room(small))


async def has_room(site: Site) -> bool:
    async with await site.open() as connection:
        return await is_served(connection)


LARGE = b"X: " + b"a" * QUICK.head_bytes + b"\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [GOOD[:-2] + LARGE + b"\r\n"],
        [GOOD[:-2], LARGE, b"\r\n"],
        [GOOD[:-2], b"a: b\r\n" * QUICK.head_bytes],
        [b"GET /" + b"a" * QUICK.head_bytes + b" HTTP/1.1\r\nHost: t\r\n\r\n"],
        [GOOD[:5], b"a" * 2000, b"a" * 5000],
        [GOOD[:20], b"a" * 2000, b"a" * 3000],
    ],
    ids=["at once", "piece by piece", "many headers", "path", "path in pieces", "one header"],
)
async def test_a_head_that_is_too_large_is_refused(site: Site, pieces: list[bytes]) -> None:
    before = site.app.calls
    async with await site.open() as connection:
        for piece in pieces:
            await connection.send(piece)
            await asyncio.sleep(0)
        answer = await connection.read()
        assert await connection.is_closed()

    assert (answer.status, answer.code) == (400, "invalid_header")
    assert site.app.calls == before


async def test_a_large_head_behind_a_large_body_is_measured_alone(site: Site) -> None:
    """Bytes of the body before it are not counted for it."""
    body = b"x" * (QUICK.head_bytes * 3)
    post = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body)
    large = GOOD[:-2] + b"X: " + b"a" * (QUICK.head_bytes - 100) + b"\r\n\r\n"
    async with await site.open() as connection:
        await connection.send(post + body + large[:3000])
        assert (await connection.read()).body == b"%d" % len(body)
        await connection.send(large[3000:])
        assert (await connection.read()).status == 200


NOT_HTTP = {
    "two lengths": b"Content-Length: 1\r\nContent-Length: 2\r\n",
    "the same length twice": b"Content-Length: 1\r\nContent-Length: 1\r\n",
    "a list of lengths": b"Content-Length: 1, 1\r\n",
    "a signed length": b"Content-Length: +1\r\n",
    "a hexadecimal length": b"Content-Length: 0x1\r\n",
    "a length and chunks": b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    "chunks and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
    "chunks, then something": b"Transfer-Encoding: chunked, identity\r\n",
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n",
    "a hidden coding": b"Transfer-Encoding:\x0bchunked\r\n",
    "a space before the colon": b"Content-Length : 1\r\n",
    "a folded line": b"X: a\r\n b\r\n",
    "a folded line with a tab": b"X: a\r\n\tb\r\n",
    "a line that ends in LF": b"X: a\n",
    "a line that ends in CR": b"X: a\rY: b\r\n",
    "a CR in a value": b"X: a\rb\r\n",
    "a NUL in a value": b"X: a\x00b\r\n",
}


@pytest.mark.parametrize("lines", NOT_HTTP.values(), ids=NOT_HTTP.keys())
async def test_a_head_that_two_servers_could_read_differently_is_refused(
    site: Site, lines: bytes
) -> None:
    async with await site.open() as connection:
        await connection.send(b"POST / HTTP/1.1\r\nHost: t\r\n" + lines + b"\r\n" + GOOD)
        answer = await connection.read()
        assert await connection.is_closed()

    assert (answer.status, answer.code) == (400, "invalid_header")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\nHost: t\n\n",
        b"GET / HTTP/1.1\r\n Host: t\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: t\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["LF", "folded start", "no such version", "HTTP/2", "TLS"],
)
async def test_what_is_not_http_1_is_refused_and_the_next_client_served(
    site: Site, head: bytes
) -> None:
    async with await site.open() as connection, await site.open() as good:
        await connection.send(head)
        assert (await connection.read()).code == "invalid_header"
        assert await connection.is_closed()
        assert await is_served(good)
