"""A server that is asked to stop, over raw sockets: who has reached it is answered."""

import asyncio
import errno
import select
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.local.ports import free_ports
from libs.common.web import server
from libs.common.web.app import serve
from libs.common.web.server import LAST_CALLS, Server
from tests.support.raw_http import RawConnection
from tests.support.waiting import until

CALL = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
CROWD = 50


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers everything."""
    assert scope["type"] == "http"
    await receive()
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


class Site:
    """A server in the test's event loop."""

    def __init__(self) -> None:
        self.port, self.stop = free_ports(), asyncio.Event()
        self.serving = asyncio.ensure_future(serve(answer, "127.0.0.1", self.port)(self.stop))

    async def connect(self) -> RawConnection:
        """Connect, and have one answer on a connection that is kept."""
        connection = await RawConnection.open(self.port)
        await connection.send(CALL)
        assert "connection" not in (await connection.read()).headers
        return connection

    async def is_open(self) -> bool:
        try:
            await (await RawConnection.open(self.port)).close()
        except ConnectionError:  # refused; or reset, where it could not be let in any more
            return False
        return True

    async def ask_to_stop(self) -> None:
        """Returns when its door is closed."""

        async def is_closed() -> bool:
            return not await self.is_open()

        self.stop.set()
        await until(is_closed)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    await until(made.is_open)
    yield made
    made.stop.set()
    await made.serving


async def test_a_call_on_a_kept_connection_is_answered_after_the_stop(site: Site) -> None:
    kept = await site.connect()
    await site.ask_to_stop()

    await kept.send(CALL)
    last = await kept.read()

    assert (last.status, last.headers["connection"]) == (200, "close")
    assert await kept.is_closed()
    await kept.close()


def fail(*_: object) -> None:
    raise OSError(errno.EMFILE, "too many open files")


class Full(socket.socket):
    """A door through which nobody fits."""

    accept = fail  # type: ignore[assignment]


@pytest.mark.parametrize("without", [{"dup": fail}, {"socket": Full}], ids=["dup", "accept"])
async def test_without_a_descriptor_left_who_is_in_is_heard_out(
    site: Site, without: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await site.connect()
    # In the server's module alone: asyncio logs a failed accept 4 096 times before it goes on.
    monkeypatch.setattr(server, "socket", SimpleNamespace(**vars(socket) | without))
    await site.ask_to_stop()

    await kept.send(CALL)

    assert (await kept.read()).status == 200
    await kept.close()
    await site.serving


async def test_it_ends_as_soon_as_nobody_is_connected(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LAST_CALLS", timedelta(minutes=1))
    kept = await site.connect()
    await site.ask_to_stop()
    assert not site.serving.done()

    await kept.close()

    await asyncio.wait_for(site.serving, 10)


async def test_connections_that_stay_silent_keep_it_for_the_last_calls_only(site: Site) -> None:
    silent = await site.connect()
    began = asyncio.get_running_loop().time()
    await site.ask_to_stop()

    await site.serving

    assert LAST_CALLS.total_seconds() <= asyncio.get_running_loop().time() - began < 3
    assert await silent.is_closed()
    await silent.close()


async def test_who_stands_before_the_door_when_it_closes_is_let_in_and_answered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd: list[socket.socket] = []
    close = Server.shutdown

    async def close_before_a_crowd(server: Server, sockets: Any = None) -> None:
        # Not awaited: the server cannot accept anybody between this and its own next line.
        for _ in range(CROWD):
            crowd.append(socket.create_connection(("127.0.0.1", site.port)))
            crowd[-1].sendall(CALL)
        await close(server, sockets)

    monkeypatch.setattr(Server, "shutdown", close_before_a_crowd)
    site.stop.set()
    await site.serving

    answers = [await asyncio.to_thread(one.recv, 4096) for one in crowd]
    for one in crowd:
        one.close()
    assert len(answers) == CROWD
    assert all(one.startswith(b"HTTP/1.1 200") for one in answers)
    assert all(b"connection: close" in one for one in answers)


async def test_who_comes_between_the_last_look_and_the_close_is_answered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[socket.socket] = []
    accept_all = server._accept_all  # noqa: SLF001  # there is no other moment to come in

    def accept_all_and_one_comes(door: socket.socket) -> list[socket.socket]:
        accepted = accept_all(door)
        if not late:
            late.append(socket.create_connection(("127.0.0.1", site.port)))
            late[0].sendall(CALL)
        return accepted

    monkeypatch.setattr(server, "_accept_all", accept_all_and_one_comes)
    site.stop.set()
    await site.serving

    with late[0] as one:
        assert (await asyncio.to_thread(one.recv, 4096)).startswith(b"HTTP/1.1 200")


async def test_who_comes_once_the_door_is_shut_from_inside_is_refused_and_not_reset(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = server._fill  # noqa: SLF001  # as above
    knocking: list[socket.socket] = []

    def fill_and_one_comes(door: socket.socket, plug: socket.socket) -> bool:
        is_full = fill(door, plug)
        if is_full:
            knocking.append(socket.socket())
            knocking[0].settimeout(0)
            knocking[0].connect_ex(("127.0.0.1", site.port))
        return is_full

    monkeypatch.setattr(server, "_fill", fill_and_one_comes)
    site.stop.set()
    await site.serving

    with knocking[0] as one:
        await asyncio.to_thread(select.select, [], [one], [], 10)
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
