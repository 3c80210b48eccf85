"""The simulator as an ASGI app: `create()`, for uvicorn or any other server.

`POST /v1/chat/completions`, `GET /v1/models`, `GET /healthz`, `GET /readyz`; and, where controls
are switched on (never in production), for tests:

- `GET /_calls` the call log, `DELETE /_calls` forgets it and all counts;
- `POST /_script {"model": "sim-503-always", "latency_ms": 50}`: from now on behave as if every call
  named that model, and be that much slower; `{}` ends it.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec

from services.executor.simulator import replies
from services.executor.simulator.calls import Call, CallLog, Sightings
from services.executor.simulator.replies import Reply
from services.executor.simulator.scripts import Script, script_of
from services.executor.simulator.wire import (
    ClientLeft,
    Receive,
    Scope,
    Send,
    cut,
    headers_of,
    pause,
    read,
    send_reply,
)

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HANG_MS: Final = 3_600_000
_HEALTH: Final = ("/healthz", "/readyz")


class _Body(msgspec.Struct):
    model: str
    messages: msgspec.Raw
    stream: bool | None = False


class _ScriptBody(msgspec.Struct, forbid_unknown_fields=True):
    model: str | None = None
    latency_ms: int = 0


def create(*, has_controls: bool = False, call_log: Path | None = None) -> App:
    """A simulator with a memory of its own. `call_log`: a file to append every call to."""
    return _Simulator(CallLog(call_log), has_controls=has_controls)


class _Simulator:
    """Routes; the state is the call log, the sightings and the script for everybody."""

    def __init__(self, log: CallLog, *, has_controls: bool) -> None:
        self._log = log
        self._has_controls = has_controls
        self._sightings = Sightings()
        self._everybody = _ScriptBody()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._route(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        self._log.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        try:
            if scope["method"] == "POST" and path == "/v1/chat/completions":
                await self._complete(scope, receive, send)
            elif self._has_controls and path in ("/_calls", "/_script"):
                await send_reply(send, await self._control(scope, receive))
            else:
                await send_reply(
                    send, _answer_without_body(scope["method"], path, headers_of(scope))
                )
        except ClientLeft:
            return

    async def _complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        raw = await read(receive)
        body = _refuse_key(headers) or _parse(raw)
        if isinstance(body, Reply):
            await send_reply(send, body)
            return
        client_request_id = headers.get(b"x-client-request-id", b"").decode("latin-1")
        call = self._log.start(client_request_id, body.model)
        try:
            await self._play(call, raw or b"", receive, send)
        except (ClientLeft, asyncio.CancelledError):
            self._log.end(call, "left")
            raise

    async def _play(self, call: Call, raw: bytes, receive: Receive, send: Send) -> None:
        """Do what the script says about this call."""
        script = script_of(self._everybody.model or call.model)
        await pause(script.delay_ms + self._everybody.latency_ms, receive)
        act = script.act if self._is_to_fail(call, script, raw) else "answer"
        if act == "hang":
            await pause(_HANG_MS, receive)
        if act in ("hang", "cut"):
            self._log.end(call, "cut")
            await cut(send)
            return
        reply = _reply(act, script, call, len(raw))
        # First the log: a client that has its answer finds the call in it.
        self._log.end(call, "answered", reply.status_code)
        await send_reply(send, reply)

    def _is_to_fail(self, call: Call, script: Script, raw: bytes) -> bool:
        """Whether this request still has failures to come.

        A call without a client request id is known by its body, until it has been answered.
        """
        request, _, _ = call.client_request_id.rpartition("-")
        key = request or call.client_request_id or hashlib.sha256(raw).hexdigest()
        is_to_fail = self._sightings.count(key) <= script.times
        if not is_to_fail and not call.client_request_id:
            self._sightings.forget(key)
        return is_to_fail

    async def _control(self, scope: Scope, receive: Receive) -> Reply:
        match scope["method"], scope["path"]:
            case "GET", "/_calls":
                return replies.plain(200, self._log.all())
            case "DELETE", "/_calls":
                self._log.forget()
                self._sightings.forget()
                return replies.plain(200, {})
            case "POST", "/_script":
                return self._set_script(await read(receive))
        return replies.failure(405)

    def _set_script(self, raw: bytes | None) -> Reply:
        try:
            self._everybody = msgspec.json.decode(raw or b"{}", type=_ScriptBody)
        except (ValueError, RecursionError):
            return replies.failure(400)
        return replies.plain(200, self._everybody)


def _answer_without_body(method: str, path: str, headers: dict[bytes, bytes]) -> Reply:
    if method == "GET" and path in _HEALTH:
        return replies.plain(200, {"status": "ok"})
    if path not in ("/v1/models", "/v1/chat/completions"):
        return replies.error(404, "invalid_request_error", "unknown_url", "Unknown request URL.")
    if method != "GET" or path != "/v1/models":
        return replies.failure(405)
    return _refuse_key(headers) or replies.models()


def _parse(raw: bytes | None) -> _Body | Reply:
    """The call, or the refusal that comes before any script."""
    if raw is None:
        return replies.failure(413)
    try:
        body = msgspec.json.decode(raw, type=_Body)
    except (ValueError, RecursionError):
        return replies.failure(400)
    if body.stream:
        message = "The simulator does not stream."
        return replies.error(400, "invalid_request_error", "unsupported_value", message)
    return body


def _refuse_key(headers: dict[bytes, bytes]) -> Reply | None:
    """Any key is good; none is not."""
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and key.strip():
        return None
    message = "You didn't provide an API key."
    return replies.error(401, "invalid_request_error", None, message)


def _reply(act: str, script: Script, call: Call, size: int) -> Reply:
    match act:
        case "fail":
            return replies.failure(script.status_code)
        case "quota":
            return replies.quota()
        case "garbage":
            return replies.garbage()
    return replies.completion(call.model, call.number, size)
