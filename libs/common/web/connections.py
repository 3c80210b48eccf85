"""Connections that cannot be held open for nothing: uvicorn's, with the bounds it does not have.

uvicorn 0.54 waits for ever for the rest of a request's head, takes a head of any size (llhttp keeps
no count), and its limit of connections counts only those whose head has come. This file is the only
one that reaches into its HTTP protocol, and tests/integration/common/test_slow_senders.py holds
every reach over raw sockets. What is not HTTP/1.1 to the letter (conflicting lengths, folded lines,
bare CR or LF) llhttp itself refuses; here it gets its answer in our envelope.

An application may give a body less time than here, and answer in its own words. Whoever does not
read its answer is cut, too: what is written lastly, uvicorn would keep in memory for ever.
"""

import asyncio
import math
from collections.abc import Iterable
from datetime import timedelta
from typing import ClassVar, Final

import msgspec
from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from libs.common.errors import AppError, InvalidInput, Unavailable
from libs.common.web.errors import render

CUT: Final = Counter("reqrun_connections_cut_total", "Connections ended by the server", ["reason"])
_LATE, _MALFORMED, _SURPLUS, _SLOW_BODY, _UNREAD = (
    CUT.labels(reason) for reason in ("late", "malformed", "surplus", "slow_body", "unread")
)

IS_CLOSING: Final = "reqrun.is_closing"
"""Where the scope keeps what tells whether the connection has ended, or is about to."""

_NEVER: Final = math.inf
_SURPLUS_SECONDS: Final = 1.0
_LINGER_SECONDS: Final = 1.0
_LOOKS_A_HEAD: Final = 10

UNREAD_BYTES: Final = 64 * 1024
"""Who reads 2 KiB a second stays; with less than that left to send, the rest counts."""


class MalformedHead(InvalidInput):
    """No HTTP/1.1, or too much of it."""

    code = "invalid_header"


class Bounds(msgspec.Struct, frozen=True):
    """What one connection, and all together, may cost.

    `head_time`: for a whole head, from connecting or from its first byte; a tenth of it is the
    precision. `head_bytes`: request line and headers. `body_time`: for a whole body, from its head.
    `unread_time`: in which a reader must take all that waits for it, or UNREAD_BYTES of that.
    `connections`: open at once; keep it below the process's limit of open files.
    """

    head_time: timedelta = timedelta(seconds=10)
    head_bytes: int = 64 * 1024
    body_time: timedelta = timedelta(seconds=30)
    unread_time: timedelta = timedelta(seconds=30)
    connections: int = 25_000


class BoundedConnection(HttpToolsProtocol):
    """One connection. `late_at`: when it is cut unless a head is complete, by the loop's clock.

    `body_late_at`: unless a body is. `_unread_at`, `_unread`: since when its reader owes us some
    reading, and how much waited then.
    """

    bounds: ClassVar[Bounds]

    late_at = body_late_at = _unread_at = _NEVER
    _unread = 0
    _is_surplus = _is_refused = _is_in_head = _is_first_piece = False
    _piece_bytes = _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Connected: the first head is awaited, whether a byte comes or not."""
        super().connection_made(transport)
        self._is_surplus = len(self.connections) > self.bounds.connections
        seconds = self.bounds.head_time.total_seconds()
        self.late_at = self.loop.time() + (_SURPLUS_SECONDS if self._is_surplus else seconds)

    def data_received(self, data: bytes) -> None:
        """Bytes. After an answer, the first one of them begins to count, were it a blank line."""
        if self._is_refused:
            return
        if self._is_surplus:
            # Only now: who is answered before having sent anything may never read it.
            _SURPLUS.inc()
            self._refuse(Unavailable(_FULL, retry_after=timedelta(seconds=1)))
            return
        if self.late_at == _NEVER and self._is_idle():
            self.late_at = self.loop.time() + self.bounds.head_time.total_seconds()
        self._piece_bytes = len(data)
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            self._is_first_piece = False
            if self._head_bytes > self.bounds.head_bytes:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """The first byte of a head; perhaps behind a request that is still being answered."""
        super().on_message_begin()
        self.scope[IS_CLOSING] = self.transport.is_closing  # type: ignore[typeddict-unknown-key]
        self._is_in_head = self._is_first_piece = True
        # Behind another request's bytes nobody knows where in the piece it begins: that piece is
        # not counted, and the head measured when it is there.
        self._head_bytes = 0 if self._is_idle() else -self._piece_bytes
        self.late_at = self.loop.time() + self.bounds.head_time.total_seconds()

    def on_headers_complete(self) -> None:
        """The head is there. Raises MalformedHead, which the parser turns into our 400."""
        # Nearly every head comes in one piece that is no larger than a head may be.
        is_small = self._is_first_piece and self._piece_bytes <= self.bounds.head_bytes
        if not is_small and self._measure() > self.bounds.head_bytes:
            raise MalformedHead(_NOT_HTTP)
        self._is_in_head, self.late_at = False, _NEVER
        self.body_late_at = self.loop.time() + self.bounds.body_time.total_seconds()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there, too."""
        self.body_late_at = _NEVER
        super().on_message_complete()

    def resume_writing(self) -> None:
        """Most of what waited has been read."""
        self._unread_at = _NEVER
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's words, not ours
        """What follows cannot be understood."""
        if self._is_refused:
            return
        _MALFORMED.inc()
        self._refuse(MalformedHead(_NOT_HTTP))

    def look(self, now: float) -> None:
        """Cut it if it is late in any way."""
        self._cut_if_late(now)
        if now >= self.body_late_at:
            self.body_late_at = _NEVER
            _SLOW_BODY.inc()
            self.transport.close()
        self._cut_if_unread(now)

    def _cut_if_unread(self, now: float) -> None:
        """A transport that is closing, too: it would wait for its reader for ever."""
        waiting = self.transport.get_write_buffer_size()
        if waiting == 0:
            self._unread_at = _NEVER
        elif self._unread_at == _NEVER or waiting <= self._unread - UNREAD_BYTES:
            self._unread_at, self._unread = now, waiting
        elif now >= self._unread_at + self.bounds.unread_time.total_seconds():
            _UNREAD.inc()
            self.transport.abort()

    def _cut_if_late(self, now: float) -> None:
        """Close it if its head did not come in time, unless a request before it is being answered.

        Silently: a proxy that kept the connection for later use would take a 408 for the answer to
        what it sends next.
        """
        if now >= self.late_at and self._is_idle():
            _LATE.inc(not self._is_refused)
            self.late_at = _NEVER
            self.transport.close()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _measure(self) -> int:
        """Bytes of the head, as sent: `: ` and line ends count."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, error: AppError) -> None:
        """Answer and hear no more. Closing at once on one who still sends loses it the answer."""
        status, body, headers = render(error)
        headers |= {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(STATUS_LINE[status] + lines.encode() + b"\r\n" + body)
        self._is_refused = True
        if self._is_idle() and self.transport.can_write_eof():  # TLS cannot
            self.transport.write_eof()
            self.late_at = self.loop.time() + _LINGER_SECONDS
        else:
            self.transport.close()  # unlike after an EOF, the application may write on, unheard


_FULL: Final = "Too many connections are open here. Try again in a second."
_NOT_HTTP: Final = (
    "This is not a request as HTTP/1.1 writes it (RFC 9112), or its head is too large."
)


def connection_class(within: Bounds) -> type[BoundedConnection]:
    """For uvicorn, which makes its connections from a class."""

    class Connection(BoundedConnection):
        bounds = within

    return Connection


async def cut_the_late(connections: Iterable[object], bounds: Bounds) -> None:
    """Look for late ones until cancelled; one timer for all, as most requests come in one piece."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(bounds.head_time.total_seconds() / _LOOKS_A_HEAD)
        now = loop.time()
        for connection in tuple(connections):
            if isinstance(connection, BoundedConnection):
                connection.look(now)
