"""Around everything else: every call has an id, an answer in our envelope, and is counted."""

import secrets
from itertools import count
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter

from libs.common.web.errors import render
from services.gateway.api.calls import CALL_ID, JSON, NO_ROUTE, ROUTE

ANSWERS: Final = Counter("reqrun_gateway_answers_total", "Calls answered", ["route", "status"])

_REFUSE_WEBSOCKET: Final[Message] = {"type": "websocket.close", "code": 1000, "reason": ""}


class Edge:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        """`app`: what answers; whatever it raises is a 500 here."""
        self._app = app
        # Told to people, never relied upon: a random start and a running number are enough.
        self._process, self._numbers = secrets.token_hex(6), count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != ScopeType.HTTP:
            await send(_REFUSE_WEBSOCKET)
            return
        call_id = f"req_{self._process}{next(self._numbers):08x}"
        tag = (b"x-request-id", call_id.encode())
        status = 0

        async def send_tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], tag]
            await send(message)

        scope[CALL_ID] = call_id  # type: ignore[typeddict-unknown-key]
        try:
            await self._app(scope, receive, send_tagged)
        except Exception as error:
            if status:
                raise
            await _crash(error, call_id, send_tagged)
        ANSWERS.labels(scope.get(ROUTE, NO_ROUTE.path), status).inc()


async def _crash(error: Exception, call_id: str, send: Send) -> None:
    status, body, _ = render(error, http_request_id=call_id)
    headers = [JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
