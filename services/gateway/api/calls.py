"""One HTTP call as our hot routes see it: headers checked, body bounded, one answer.

The routes are plain ASGI callables: the framework's typed handlers cost three to six times as much
(docs/decisions). What it costs in exchange is this file.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

import msgspec
from litestar.types import Receive, Scope, Send
from prometheus_client import Counter

from libs.common.errors import AppError, MethodNotAllowed
from libs.common.web import traced
from libs.common.web.connections import IS_CLOSING
from libs.common.web.errors import RouteNotFound, render
from services.gateway.domain.errors import (
    BodyTimedOut,
    BodyTooLarge,
    InvalidHeader,
    MissingApiKey,
    MonthlyQuotaReached,
)

REFUSALS: Final = Counter("reqrun_gateway_refusals_total", "Calls refused", ["code"])

CALL_ID: Final = "reqrun.call_id"
"""Where the scope keeps what X-Request-Id tells."""
ROUTE: Final = traced.ROUTE

JSON: Final = (b"content-type", b"application/json")
CLOSE: Final = (b"connection", b"close")

Header = tuple[bytes, bytes]

_SINGLE: Final = frozenset(
    {b"authorization", b"content-length", b"content-encoding", b"content-type"}
)
_HEALING: Final = frozenset({429, 500, 503, 504})
LINGER_SECONDS: Final = 5.0


class CallerGone(Exception):
    """The connection ended first; there is nobody to answer."""


class Answer(msgspec.Struct, frozen=True):
    """What goes back, JSON unless `kind` says otherwise.

    `is_last`: the connection is of no more use after it.
    """

    status: int
    body: bytes
    headers: Sequence[Header] = ()
    is_last: bool = False
    kind: Header = JSON


class BodyBounds(msgspec.Struct, frozen=True):
    """The most bytes, and the longest time, that a body may take."""

    size: int
    time: timedelta


class Call:
    """One call. `is_read`: all of its body has arrived. `tell`: headers of whatever its answer is.

    `joins`: of a submission, whether a repeat of it would join the same request; else None.
    """

    __slots__ = ("_bounds", "_headers", "_receive", "is_read", "joins", "scope", "tell")

    def __init__(self, scope: Scope, receive: Receive, bounds: BodyBounds) -> None:
        """`bounds`: of the body, if there is one and somebody reads it."""
        self.scope, self._receive, self._bounds = scope, receive, bounds
        self.is_read = False
        self.joins: bool | None = None
        self.tell: list[Header] = []
        self._headers: dict[bytes, bytes] = {}

    def read_headers(self) -> None:
        """Before anything else. Raises InvalidHeader where one that must be single is not."""
        found = self._headers
        for name, value in self.scope["headers"]:
            if name not in found:
                found[name] = value
            elif name in _SINGLE:
                raise InvalidHeader(f"The header `{name.decode()}` may be there only once.")
            else:
                found[name] += b", " + value  # RFC 9110, 5.3

    def header(self, name: bytes) -> str | None:
        """A header's text; `name` in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def raw_header(self, name: bytes) -> bytes | None:
        """A header's bytes; `name` in lower case."""
        return self._headers.get(name)

    def headers(self, name: bytes) -> list[bytes]:
        """A header's values, one by one; `name` in lower case."""
        return [value for header, value in self.scope["headers"] if header == name]

    def bearer(self) -> str:
        """The API key, unchecked. Raises MissingApiKey."""
        value = self._headers.get(b"authorization", b"")
        scheme, _, key = value.partition(b" ")
        key = key.strip()
        if scheme.lower() != b"bearer" or not key:
            raise MissingApiKey
        return key.decode("latin-1")

    def is_gone(self) -> bool:
        """Whether the caller has hung up; False where the server does not say."""
        is_closing = self.scope.get(IS_CLOSING)
        return is_closing is not None and is_closing()  # type: ignore[operator]

    def check_size(self) -> None:
        """Look at what the headers say of the body. Raises BodyTooLarge, InvalidHeader."""
        if self._headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise InvalidHeader("Send the body as it is: no `Content-Encoding` is supported.")
        length = self._headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise InvalidHeader("`Content-Length` must be a number.")
        if len(length) > len(str(self._bounds.size)) or int(length) > self._bounds.size:
            raise BodyTooLarge(self._bounds.size)

    async def body(self) -> bytes:
        """All of it. Raises BodyTooLarge, BodyTimedOut, CallerGone."""
        try:
            async with asyncio.timeout(self._bounds.time.total_seconds()):
                return await self._body()
        except TimeoutError:
            raise BodyTimedOut("The body did not arrive in time. Send it again.") from None

    async def _body(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise CallerGone
            part = message.get("body", b"")
            size += len(part)
            if size > self._bounds.size:
                raise BodyTooLarge(self._bounds.size)
            parts.append(part)
            if not message.get("more_body"):
                self.is_read = True
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def linger(self) -> None:
        """Take what still arrives, for a while: closing on a sender loses it our answer."""
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.is_read:
                    message = await self._receive()
                    self.is_read = not message.get("more_body")
        except TimeoutError:
            return


Handle = Callable[[Call], Awaitable[Answer]]


class Route(msgspec.Struct, frozen=True):
    """A path as metrics name it, and what is done there by method."""

    path: str
    handlers: Mapping[str, Handle]


NO_ROUTE: Final = Route("none", {})


async def answer(route: Route, call: Call, send: Send) -> None:
    """Call the handler of the call's method and send what it answers, errors included."""
    call.scope[ROUTE] = route.path  # type: ignore[typeddict-unknown-key]
    try:
        call.read_headers()
        handle = route.handlers.get(call.scope["method"], _refuse_method)  # type: ignore[typeddict-item]
        reply = await (handle if route is not NO_ROUTE else _refuse_path)(call)
    except CallerGone:
        return
    except Exception as error:  # noqa: BLE001  # every one of them has its answer
        reply = await _refuse(error, call, ", ".join(route.handlers))
    await _send(reply, call, send)


async def _refuse_method(_: Call) -> Answer:
    raise MethodNotAllowed("This method is not possible at this path.")


async def _refuse_path(_: Call) -> Answer:
    raise RouteNotFound("There is nothing at this path. See /openapi.json for what there is.")


async def _refuse(error: Exception, call: Call, methods: str) -> Answer:
    """The error's answer; a body that nobody read is read first, so that it can be heard."""
    call_id = call.scope.get(CALL_ID)
    status, body, extra = render(error, http_request_id=str(call_id) if call_id else None)
    REFUSALS.labels(error.code if isinstance(error, AppError) else "internal_error").inc()
    headers = [(name.encode(), value.encode()) for name, value in extra.items()]
    if call.joins is not None:
        headers.append(_should_retry(error, status, joins=call.joins))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", methods.encode()))  # RFC 9110, 15.5.6
    is_last = isinstance(error, BodyTooLarge | BodyTimedOut | InvalidHeader)
    if not call.is_read and not is_last:
        try:
            await call.body()
        except (AppError, CallerGone):
            is_last = True
    return Answer(status, body, headers, is_last)


def _should_retry(error: Exception, status: int, *, joins: bool) -> Header:
    """What the stock SDKs obey: trying again is safe only where it joins the same request."""
    may_heal = status in _HEALING and not isinstance(error, MonthlyQuotaReached)
    return b"x-should-retry", b"true" if may_heal and joins else b"false"


async def _send(reply: Answer, call: Call, send: Send) -> None:
    headers = [reply.kind, (b"content-length", b"%d" % len(reply.body)), *call.tell, *reply.headers]
    if reply.is_last:
        headers.append(CLOSE)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": reply.is_last})
    if reply.is_last:
        await call.linger()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
