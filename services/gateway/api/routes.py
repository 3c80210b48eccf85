"""The public API's routes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from services.gateway.api import models, openapi, reference, requests, submitting
from services.gateway.api.calls import (
    NO_ROUTE,
    Answer,
    BodyBounds,
    Call,
    Header,
    Route,
    answer,
)
from services.gateway.api.desk import Desk

SUBMIT_PATH: Final = "/v1/chat/completions"
MODELS_PATH: Final = "/v1/models"
REQUESTS_PATH: Final = "/v1/requests"
REQUEST_PATH: Final = "/v1/requests/{id}"
OPENAPI_PATH: Final = "/openapi.json"
DOCS_PATH: Final = "/docs"
STYLE_PATH: Final = "/docs.css"

_HTML: Final[Header] = (b"content-type", b"text/html; charset=utf-8")
_CSS: Final[Header] = (b"content-type", b"text/css; charset=utf-8")
_CONTENT: Final = (
    b"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)
_POLICY: Final[Sequence[Header]] = (
    (b"content-security-policy", _CONTENT),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

Handlers = Mapping[str, Callable[[Desk, Call], Awaitable[Answer]]]

_OF_ONE: Final[Mapping[str, Handlers]] = {
    "": {"GET": requests.show, "DELETE": requests.erase},
    "attempts": {"GET": requests.list_attempts},
    "cancel": {"POST": requests.cancel},
    "retry": {"POST": submitting.retry},
}


def routes(desk: Desk, bounds: BodyBounds) -> list[ASGIRouteHandler]:
    """All public routes, as plain ASGI callables (see calls.py)."""

    def route(path: str, handlers: Handlers) -> Route:
        return Route(path, {method: partial(do, desk) for method, do in handlers.items()})

    of_one = {
        resource: route(f"{REQUEST_PATH}/{resource}".rstrip("/"), handlers)
        for resource, handlers in _OF_ONE.items()
    }
    of_all = route(REQUESTS_PATH, {"GET": requests.list_page})
    return [
        _route(route(SUBMIT_PATH, {"POST": submitting.submit}), bounds),
        _route(route(MODELS_PATH, {"GET": models.list_models}), bounds),
        _route(route(OPENAPI_PATH, {"GET": show_openapi}), bounds),
        _route(route(DOCS_PATH, {"GET": show_docs}), bounds),
        _route(route(STYLE_PATH, {"GET": show_style}), bounds),
        _requests_route(of_all, of_one, bounds),
    ]


async def show_openapi(_desk: Desk, _call: Call) -> Answer:
    """`GET /openapi.json`: for everybody, without a key."""
    return Answer(200, openapi.DOCUMENT)


async def show_docs(_desk: Desk, _call: Call) -> Answer:
    """`GET /docs`: the same for people."""
    return Answer(200, reference.PAGE, _POLICY, kind=_HTML)


async def show_style(_desk: Desk, _call: Call) -> Answer:
    """`GET /docs.css`."""
    return Answer(200, reference.STYLE, _POLICY, kind=_CSS)


def _route(route: Route, bounds: BodyBounds) -> ASGIRouteHandler:
    @asgi(route.path, copy_scope=False)
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(route, Call(scope, receive, bounds), send)

    return handle


def _requests_route(
    of_all: Route, of_one: Mapping[str, Route], bounds: BodyBounds
) -> ASGIRouteHandler:
    """The list, and all below one request by the last part of the path.

    A mount, because the framework finds no ASGI handler behind a path parameter (Litestar 2.25
    looks its parameters up under the HTTP method and fails).
    """

    @asgi(REQUESTS_PATH, is_mount=True, copy_scope=False)
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        slash, request_id, resource = _split(scope["path"])
        if not request_id:
            route = of_all if not slash and not resource else NO_ROUTE
        else:
            route = of_one.get(resource, NO_ROUTE) if not slash else NO_ROUTE
        scope["path_params"] = {"request_id": request_id}
        await answer(route, Call(scope, receive, bounds), send)

    return handle


def _split(path: str) -> tuple[str, str, str]:
    """`/rr_1/attempts/` is what comes before the slash (nothing), the id, and the rest."""
    before, _, rest = path.partition("/")
    request_id, _, resource = rest.partition("/")
    return before, request_id, resource.rstrip("/")
