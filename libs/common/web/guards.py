"""Who may ask: the guard of `/internal`."""

from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from libs.common.errors import Forbidden, Unauthenticated
from libs.common.tokens import TokenVerifier

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def service_token(verifier: TokenVerifier, *issuers: str) -> Guard:
    """Let in only calls with a service token that one of `issuers` made for us."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("This path takes a service token.")
        if verifier.verify(token) not in issuers:
            raise Forbidden("This service may not ask this question.")

    return guard
