"""Errors as pages: what happened, what to do, and a way back."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, NotFoundException

from libs.common import logs
from libs.common.errors import AppError, NotFound
from libs.common.web.errors import REQUEST_CRASHED, status_of, translate
from services.accounts.pages import rendering
from services.accounts.pages.visits import Desk, LogInFirst, log_in_path

log = logs.get(__name__)


class PageNotFound(NotFound):
    """Nothing is served there."""

    code = "page_not_found"


def handler(desk: Desk) -> Any:
    """Litestar's exception handler for all pages."""

    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        more = rendering.headers(is_secure=desk.is_secure)
        if isinstance(error, LogInFirst):
            return _to_log_in(request, more)
        told = _told(request, error)
        status = status_of(told)
        shown = {"status": status, "text": str(told), "path": request.scope["path"]}
        text = rendering.of(desk.rendering, "error.html", {**shown, "contacts": desk.contacts})
        return rendering.html(text, status, more)

    return handle


def _told(request: Request[Any, Any, Any], error: Exception) -> AppError:
    if isinstance(error, NotFoundException):
        return PageNotFound("No page of ours has this address. It may have moved, or be mistyped.")
    if isinstance(error, HTTPException):
        error = translate(request, error)
    if isinstance(error, AppError):
        return error
    log.error(REQUEST_CRASHED, exc_info=error)
    return AppError("Something went wrong on our side. Nothing you typed was stored. Try again.")


def _to_log_in(request: Request[Any, Any, Any], more: dict[str, str]) -> Response[bytes]:
    path = log_in_path(request)
    if request.headers.get("hx-request") == "true":
        # A part of a page whose session has ended: the whole page goes to the log-in.
        return Response(b"", status_code=HTTPStatus.OK, headers={**more, "hx-redirect": path})
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers={**more, "location": path})
