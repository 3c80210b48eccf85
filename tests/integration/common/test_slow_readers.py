"""Who sends its body slowly, or does not read its answer, is cut; who reads slowly is served."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from libs.common.web.connections import CUT, Bounds
from tests.support.raw_site import LARGE, Site, running
from tests.support.waiting import until

SECONDS = 1.0
PORTION = 2 * 1024 * 1024
QUICK = Bounds(
    head_time=timedelta(seconds=2),
    body_time=timedelta(seconds=SECONDS),
    unread_time=timedelta(seconds=SECONDS),
)
PATIENT = Bounds(head_time=timedelta(seconds=2), unread_time=timedelta(seconds=SECONDS))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running(QUICK) as site:
        yield site


def cut(reason: str) -> float:
    return float(CUT.labels(reason)._value.get())  # noqa: SLF001  # the library has no way to read one


def asking(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode()


async def test_a_body_that_does_not_come_is_cut_and_others_are_served(site: Site) -> None:
    before = cut("slow_body")
    async with await site.open() as slow, await site.open() as good:
        await slow.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nx")
        await good.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nabcd")
        assert (await good.read()).body == b"4"

        assert await slow.is_closed()

    assert cut("slow_body") == before + 1


async def test_a_body_in_time_leaves_its_answer_all_the_time_there_is(site: Site) -> None:
    async with await site.open() as connection:
        await connection.send(b"POST /slow HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx")
        await passing(SECONDS * 3)
        site.app.release.set()

        assert (await connection.read()).body == b"1"


@pytest.mark.parametrize("path", ["/large", "/stream"])
async def test_an_answer_that_nobody_reads_is_let_go(site: Site, path: str) -> None:
    before = cut("unread")
    _, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
    writer.write(asking(path))

    await until(lambda: cut("unread") == before + 1)

    writer.close()


@pytest.mark.parametrize("path", ["/large", "/stream"])
async def test_who_reads_slowly_but_reads_gets_all_of_it(path: str) -> None:
    async with running(PATIENT) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=LARGE)
        writer.write(asking(path))
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(LARGE // PORTION):  # takes several times as long as a cut
            await reader.readexactly(PORTION)
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
            await passing(SECONDS * 0.3)
            writer.transport.resume_reading()  # type: ignore[attr-defined]
        writer.close()


async def passing(seconds: float) -> None:
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)
