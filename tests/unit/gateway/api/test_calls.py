"""Calls, as an ASGI server hands them over."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.common.errors import Unavailable
from services.gateway.api.calls import Answer, BodyBounds, Call, Route, answer
from services.gateway.domain.errors import InvalidApiKey

BOUNDS = BodyBounds(size=100, time=timedelta(milliseconds=50))

Headers = list[tuple[bytes, bytes]]


class Wire:
    """What the server gives and takes. After the last part the connection is silent, or gone."""

    def __init__(
        self, *parts: bytes, headers: Headers | None = None, is_gone: bool = False
    ) -> None:
        self.parts, self.is_gone = list(parts), is_gone
        self.scope: Any = {"type": "http", "method": "POST", "headers": headers or []}
        self.sent: list[Any] = []
        self.is_open_ended = False

    async def receive(self) -> Any:
        if self.parts:
            part = self.parts.pop(0)
            more = bool(self.parts) or self.is_gone or self.is_open_ended
            return {"type": "http.request", "body": part, "more_body": more}
        if self.is_gone:
            return {"type": "http.disconnect"}
        return await asyncio.Event().wait()

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def ask(
        self, handle: Callable[[Call], Awaitable[Answer]], bounds: BodyBounds = BOUNDS
    ) -> None:
        call = Call(self.scope, self.receive, bounds)
        await answer(Route("/x", {"POST": handle}), call, self.send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def code(self) -> str:
        body = b"".join(message["body"] for message in self.sent[1:])
        return str(msgspec.json.decode(body)["error"]["code"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


async def echo(call: Call) -> Answer:
    call.check_size()
    return Answer(200, await call.body())


async def test_a_body_in_parts_is_one_body() -> None:
    wire = Wire(b"ab", b"", b"cd")
    await wire.ask(echo)

    assert (wire.status, wire.sent[1]["body"]) == (200, b"abcd")
    assert wire.headers[b"content-length"] == b"4"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([(b"content-length", b"101")], "body_too_large"),
        ([(b"content-length", b"9" * 4000)], "body_too_large"),
        ([(b"content-length", b"-1")], "invalid_header"),
        ([(b"content-length", b"1"), (b"content-length", b"1")], "invalid_header"),
        ([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer a")], "invalid_header"),
        ([(b"content-encoding", b"gzip")], "invalid_header"),
    ],
)
async def test_headers_that_cannot_be_right_are_refused_before_the_body(
    headers: Headers, code: str
) -> None:
    wire = Wire(b"{}", headers=headers)
    await wire.ask(echo)

    assert wire.code == code
    assert wire.headers[b"connection"] == b"close"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-encoding", b"identity")],
        [(b"prefer", b"a"), (b"prefer", b"b")],
        [(b"content-length", b"100")],
    ],
)
async def test_headers_that_mean_nothing_special_are_taken(headers: Headers) -> None:
    wire = Wire(b"{}", headers=headers)
    await wire.ask(echo)

    assert wire.status == 200


async def test_a_body_that_grows_too_large_is_refused_and_read_to_its_end() -> None:
    wire = Wire(*[b"x" * 60] * 5)
    await wire.ask(echo)

    assert (wire.status, wire.code) == (413, "body_too_large")
    assert wire.parts == []
    assert wire.sent[1]["more_body"] is True
    assert wire.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_a_body_that_does_not_come_is_waited_for_only_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.gateway.api.calls.LINGER_SECONDS", 0.05)
    wire = Wire(b"x")
    wire.is_open_ended = True
    await wire.ask(echo)

    assert (wire.status, wire.code) == (400, "request_timeout")
    assert wire.headers[b"connection"] == b"close"


async def test_a_caller_who_leaves_in_the_middle_is_not_answered() -> None:
    wire = Wire(b"x", is_gone=True)
    await wire.ask(echo)

    assert wire.sent == []


async def test_a_refusal_reads_the_body_first_and_keeps_the_connection() -> None:
    async def refuse(_: Call) -> Answer:
        raise InvalidApiKey

    wire = Wire(b"ab", b"cd")
    await wire.ask(refuse)

    assert (wire.status, wire.code) == (401, "invalid_api_key")
    assert b"connection" not in wire.headers
    assert wire.parts == []


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    wire = Wire(b"")
    wire.scope["method"] = "DELETE"
    await wire.ask(echo)

    assert (wire.status, wire.code, wire.headers[b"allow"]) == (405, "method_not_allowed", b"POST")


async def test_what_heals_with_time_says_when_to_come_again() -> None:
    async def refuse(_: Call) -> Answer:
        raise Unavailable("Later.", retry_after=timedelta(milliseconds=300))

    wire = Wire(b"")
    await wire.ask(refuse)

    assert (wire.status, wire.headers[b"retry-after"]) == (503, b"1")


async def test_a_crash_is_a_500_that_tells_nothing() -> None:
    async def crash(_: Call) -> Answer:
        raise KeyError("sk-canary")

    wire = Wire(b"")
    await wire.ask(crash)

    assert (wire.status, wire.code) == (500, "internal_error")
    assert b"canary" not in wire.sent[1]["body"]


@pytest.mark.parametrize(
    "value", [b"", b"Bearer", b"Bearer ", b"Basic abc", b"reqrun_live_x", b"Bearer\treqrun"]
)
async def test_without_a_bearer_key_the_call_is_told_what_is_missing(value: bytes) -> None:
    async def identify(call: Call) -> Answer:
        return Answer(200, call.bearer().encode())

    wire = Wire(b"", headers=[(b"authorization", value)])
    await wire.ask(identify)

    assert (wire.status, wire.code) == (401, "missing_api_key")


@pytest.mark.parametrize("value", [b"Bearer k", b"bearer k", b"BEARER  k "])
async def test_a_bearer_key_is_found_however_the_scheme_is_spelt(value: bytes) -> None:
    async def identify(call: Call) -> Answer:
        return Answer(200, call.bearer().encode())

    wire = Wire(b"", headers=[(b"authorization", value)])
    await wire.ask(identify)

    assert wire.sent[1]["body"] == b"k"
