"""Bad days of Paddle's, on demand: what a test or a curious person asks for."""

import asyncio
from typing import Any, Final, Literal

import msgspec

Kind = Literal["error", "busy", "slow", "cut", "wrong", "lost"]

_JSON: Final = (b"content-type", b"application/json")
_RETRY_AFTER: Final = (b"retry-after", b"1")


class Fault(msgspec.Struct, kw_only=True):
    """What the next `count` calls of the API meet.

    error: 500. busy: 429 with Retry-After. slow: `seconds` late. cut: half an answer. wrong: a 200
    that is no JSON. lost: it is done, and the answer is cut. `path`: of calls that begin so.
    """

    kind: Kind
    count: int = 1
    seconds: float = 30.0
    path: str = "/"
    method: str | None = None


class Faults:
    """ASGI around the application: its doors for machines fail as they are told to."""

    def __init__(self, app: Any) -> None:
        """No faults."""
        self.app = app
        self.planned: list[Fault] = []
        self.met = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        fault = self._take(scope) if scope["type"] == "http" else None
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await self.app(scope, receive, send)
        elif fault.kind == "lost":
            await self.app(scope, receive, _swallow)
            await _half(send)
        elif fault.kind == "cut":
            await _half(send)
        else:
            await _say(send, fault.kind)

    def _take(self, scope: Any) -> Fault | None:
        """The fault that this call meets."""
        headers = dict(scope["headers"])
        if b"paddle-version" not in headers and b"x-transaction-id" not in headers:
            return None  # people's pages and the control of faults work on
        for fault in self.planned:
            fits = fault.method in {None, scope["method"]}
            if fault.count > 0 and fits and scope["path"].startswith(fault.path):
                fault.count -= 1
                self.met += 1
                return fault
        return None


async def _swallow(_: Any) -> None:
    """Nobody hears it."""


async def _half(send: Any) -> None:
    """The server closes the connection, since more was promised."""
    headers = [_JSON, (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"data": {"id"', "more_body": True})
    raise ConnectionResetError


async def _say(send: Any, kind: Kind) -> None:
    status, headers, body = {
        "error": (500, [_JSON], b'{"error": {"type": "api_error", "code": "internal_error"}}'),
        "busy": (429, [_JSON, _RETRY_AFTER], b'{"error": {"code": "too_many_requests"}}'),
        "wrong": (200, [(b"content-type", b"text/html")], b"<html>Welcome to nginx!</html>"),
    }[kind]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
