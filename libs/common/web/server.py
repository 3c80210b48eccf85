"""uvicorn's server, with a stop that loses no call.

uvicorn 0.54 resets connections that the kernel took and the process has not accepted yet, and
closes kept ones whose next request may be on its way: such a caller cannot know whether it was
heard.
tests/integration/common/test_stopping_servers.py holds both over raw sockets.
"""

import asyncio
import contextlib
import select
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import uvicorn

LAST_CALLS: Final = timedelta(seconds=1)
_LOOK_SECONDS: Final = 0.02
_PLUG_MILLISECONDS: Final = 10
"""A handshake with oneself is over at once, or is not heard."""
_PLUGS: Final = 100


class Server(uvicorn.Server):
    """Asked to stop, it refuses new connections, and answers on those that it has.

    For `LAST_CALLS`, or until nobody is connected any more, every answer says `Connection: close`.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to `runtime`: one process, one place that hears them."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door behind the last one who was before it; hear everybody out; then end."""
        self.server_state.default_headers = [
            *self.server_state.default_headers,
            (b"connection", b"close"),
        ]
        await self._close_the_door()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + LAST_CALLS.total_seconds()
        # uvicorn keeps a set of connections, and tells nobody when one leaves it.
        while self.server_state.connections and loop.time() < ends_at:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        await super().shutdown(sockets)

    async def _close_the_door(self) -> None:
        loop = asyncio.get_running_loop()
        listening = [listener for server in self.servers for listener in server.sockets]
        # A copy of the descriptor: the loop's own is closed with its server.
        doors = [door for listener in listening if (door := _copy(listener)) is not None]
        for server in self.servers:
            server.close()
        for connection in [connection for door in doors for connection in _last_ones(door)]:
            await loop.connect_accepted_socket(self._connection, connection)

    def _connection(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        return protocol


def _copy(listener: socket.socket) -> socket.socket | None:
    """None where there is no descriptor left: then nobody new is heard, but all who are in are."""
    try:
        return socket.socket(fileno=socket.dup(listener.fileno()))
    except OSError:
        return None


def _last_ones(door: socket.socket) -> list[socket.socket]:
    """Accept whoever stands before it, as far as descriptors go, then close it at once.

    Whom the kernel lets in between the last look and the close would be reset. So the queue is made
    one long, and that place is taken by ourselves: who knocks then is not heard, knocks again a
    second later, and is refused.
    """
    door.settimeout(0)
    accepted: list[socket.socket] = []
    with contextlib.ExitStack() as plugs, door, contextlib.suppress(OSError):  # no descriptor
        door.listen(0)
        for _ in range(_PLUGS):
            accepted += _accept_all(door)
            if _fill(door, plugs.enter_context(socket.socket(door.family))):
                break
    return accepted


def _accept_all(door: socket.socket) -> list[socket.socket]:
    accepted = []
    with contextlib.suppress(OSError):  # nobody is left, or no descriptor
        while True:
            accepted.append(door.accept()[0])
    return accepted


def _fill(door: socket.socket, plug: socket.socket) -> bool:
    """Whether `plug` has the one place; if not, somebody else came first."""
    plug.settimeout(0)
    plug.connect_ex(door.getsockname())
    looking = select.poll()  # a gateway's descriptors are beyond what select takes
    looking.register(plug, select.POLLOUT)
    return bool(looking.poll(_PLUG_MILLISECONDS))
