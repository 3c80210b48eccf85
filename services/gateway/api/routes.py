"""The public API's routes: decode, one use case, encode."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qs

import msgspec
from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from libs.common.contracts.accounts import KeyContext
from libs.common.ids import LENGTH
from libs.ledger.look import Standing
from libs.ledger.states import State
from services.gateway.api import openapi, views
from services.gateway.api.calls import (
    NO_ROUTE,
    Answer,
    BodyBounds,
    Call,
    Header,
    Route,
    answer,
)
from services.gateway.domain import submissions, waits
from services.gateway.domain.errors import (
    BodyTooLarge,
    RequestNotFound,
    ResultErased,
    UnsupportedParameter,
)
from services.gateway.ports import Ports
from services.gateway.use_cases import requests
from services.gateway.use_cases.callers import Callers
from services.gateway.use_cases.requests import Reply
from services.gateway.use_cases.waiting import WaitingRoom

SUBMIT_PATH: Final = "/v1/chat/completions"
REQUESTS_PATH: Final = "/v1/requests"
REQUEST_PATH: Final = "/v1/requests/{id}"
ATTEMPTS_PATH: Final = "/v1/requests/{id}/attempts"
OPENAPI_PATH: Final = "/openapi.json"

POLL_AFTER: Final = (b"retry-after", b"1")
"""Seconds: how soon asking again makes sense for a request that is under way."""

_MAX_QUERY: Final = 1024


class Desk(msgspec.Struct, frozen=True):
    """What the routes work with. `wait`: for who asks to wait and does not say how long."""

    ports: Ports
    callers: Callers
    room: WaitingRoom
    bounds: BodyBounds
    wait: timedelta


def routes(desk: Desk) -> list[ASGIRouteHandler]:
    """All public routes, as plain ASGI callables (see calls.py)."""

    async def submit(call: Call) -> Answer:
        call.check_size()
        caller = await desk.callers.identify(call.bearer())
        body = await call.body()
        if len(body) > caller.limits.body_bytes:
            raise BodyTooLarge(caller.limits.body_bytes)
        chat = submissions.parse(body)
        wait = waits.choose(chat, waits.parse_preference(call.header(b"prefer")), desk.wait)
        reply = await requests.submit(desk.ports, desk.room, caller, chat, wait)
        return _submitted(reply)

    async def show(call: Call) -> Answer:
        caller, request_id = await _identify(desk, call)
        wait = waits.parse_query(_query(call, "wait"))
        reply = await requests.show(desk.ports, desk.room, caller, request_id, wait)
        return Answer(200, views.request(reply.standing), _told(reply))

    async def list_attempts(call: Call) -> Answer:
        caller, request_id = await _identify(desk, call)
        found = await requests.list_attempts(desk.ports, caller, request_id)
        return Answer(200, views.attempts(found), [(b"x-reqrun-request-id", request_id.encode())])

    async def show_openapi(_: Call) -> Answer:
        return Answer(200, openapi.DOCUMENT)

    return [
        _route(Route(SUBMIT_PATH, {"POST": submit}), desk.bounds),
        _route(Route(OPENAPI_PATH, {"GET": show_openapi}), desk.bounds),
        _requests_route(
            {
                "": Route(REQUEST_PATH, {"GET": show}),
                "attempts": Route(ATTEMPTS_PATH, {"GET": list_attempts}),
            },
            desk.bounds,
        ),
    ]


def _route(route: Route, bounds: BodyBounds) -> ASGIRouteHandler:
    @asgi(route.path, copy_scope=False)
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(route, Call(scope, receive, bounds), send)

    return handle


def _requests_route(resources: Mapping[str, Route], bounds: BodyBounds) -> ASGIRouteHandler:
    """All below one request, by the last part of the path.

    A mount, because the framework finds no ASGI handler behind a path parameter (Litestar 2.25
    looks its parameters up under the HTTP method and fails).
    """

    @asgi(REQUESTS_PATH, is_mount=True, copy_scope=False)
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        slash, request_id, resource = _split(scope["path"])
        route = resources.get(resource, NO_ROUTE) if request_id and not slash else NO_ROUTE
        scope["path_params"] = {"request_id": request_id}
        await answer(route, Call(scope, receive, bounds), send)

    return handle


def _split(path: str) -> tuple[str, str, str]:
    """`/rr_1/attempts/` is what comes before the slash (nothing), the id, and the rest."""
    before, _, rest = path.partition("/")
    request_id, _, resource = rest.partition("/")
    return before, request_id, resource.rstrip("/")


async def _identify(desk: Desk, call: Call) -> tuple[KeyContext, str]:
    """The caller, and the id in the path; an absurd one is not carried any further."""
    caller = await desk.callers.identify(call.bearer())
    request_id = str(call.scope["path_params"]["request_id"])
    if len(request_id) > LENGTH + len("rr_"):
        raise RequestNotFound
    return caller, request_id


def _query(call: Call, name: str) -> str | None:
    """One parameter of the query string. Raises UnsupportedParameter where it is there twice."""
    query = call.scope["query_string"]
    if not query:
        return None
    if len(query) > _MAX_QUERY:
        raise UnsupportedParameter("The query string is too long.")
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get(name, [])
    if len(values) > 1:
        raise UnsupportedParameter(f"`{name}` may be there only once.")
    return values[0] if values else None


def _submitted(reply: Reply) -> Answer:
    """The provider's body as it is, or the asynchronous shape."""
    standing = reply.standing
    if standing.state is not State.COMPLETED:
        return Answer(200, views.accepted(standing), _told(reply))
    if standing.result is None:
        raise ResultErased
    return Answer(200, standing.result, _told(reply))


def _told(reply: Reply) -> list[Header]:
    """What the headers tell of a request."""
    standing = reply.standing
    headers = [
        (b"x-reqrun-request-id", standing.request_id.encode()),
        (b"x-reqrun-status", standing.state.value.encode()),
        (b"x-reqrun-attempts", b"%d" % standing.attempts),
        (b"server-timing", _timing(reply)),
    ]
    if not standing.is_final:
        headers += [_location(standing), POLL_AFTER]
    return headers


def _location(standing: Standing) -> Header:
    return b"location", b"/v1/requests/" + standing.request_id.encode()


def _timing(reply: Reply) -> bytes:
    """Milliseconds, W3C Server Timing: how long storing took, and how long the wait."""
    return b"accept;dur=%.1f, wait;dur=%.1f" % (
        reply.accept_seconds * 1000,
        reply.wait_seconds * 1000,
    )
