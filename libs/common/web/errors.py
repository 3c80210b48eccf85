"""From a kind of error to HTTP: the only table that knows both (docs/api.md, "Errors")."""

import math
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)
from litestar.status_codes import HTTP_413_REQUEST_ENTITY_TOO_LARGE

from libs.common import errors, logs

log = logs.get(__name__)

REQUEST_CRASHED: Final = "request_crashed"


class Form(NamedTuple):
    """How a kind of error looks on the wire."""

    status: int
    type: str


FORMS: Final[dict[type[errors.AppError], Form]] = {
    errors.InvalidInput: Form(400, "invalid_request_error"),
    errors.Unauthenticated: Form(401, "authentication_error"),
    errors.Forbidden: Form(403, "permission_error"),
    errors.NotFound: Form(404, "not_found_error"),
    errors.MethodNotAllowed: Form(405, "not_found_error"),
    errors.Conflict: Form(409, "conflict_error"),
    errors.Gone: Form(410, "conflict_error"),
    errors.TooLarge: Form(413, "invalid_request_error"),
    errors.LimitReached: Form(429, "rate_limit_error"),
    errors.Unavailable: Form(503, "api_error"),
    errors.TimedOut: Form(504, "api_error"),
}
_CRASHED: Final = Form(500, "api_error")


class ErrorDetail(msgspec.Struct, frozen=True):
    """Three strings, nothing else: existing clients match on exactly these."""

    message: str
    type: str
    code: str


class ErrorView(msgspec.Struct, frozen=True):
    """The one envelope of every error."""

    error: ErrorDetail


class RouteNotFound(errors.NotFound):
    """There is nothing at this path."""

    code = "route_not_found"


class MalformedRequest(errors.InvalidInput):
    """The framework could not read the request."""

    code = "invalid_body"


def render(
    error: Exception, *, http_request_id: str | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and extra headers for `error`. What we did not raise on purpose is a 500.

    `http_request_id`: names the call in the log, where the caller was told such a name.
    """
    if not isinstance(error, errors.AppError):
        log.error(REQUEST_CRASHED, exc_info=error, http_request_id=http_request_id)
        error = errors.AppError("Something went wrong on our side. Try again in a moment.")
    form = _form_of(error)
    view = ErrorView(ErrorDetail(message=str(error), type=form.type, code=error.code))
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after.total_seconds()))
    return form.status, msgspec.json.encode(view), headers


def status_of(error: errors.AppError) -> int:
    """The HTTP status of a kind of error."""
    return _form_of(error).status


def to_response(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's exception handler for everything."""
    if isinstance(error, HTTPException):
        error = translate(request, error)
    status, body, headers = render(error)
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def _form_of(error: errors.AppError) -> Form:
    return next((FORMS[kind] for kind in type(error).__mro__ if kind in FORMS), _CRASHED)


def translate(request: Request[Any, Any, Any], error: HTTPException) -> Exception:
    """What the framework refused, as one of our errors where we have one for it."""
    # No text tells the path: it is the caller's, and `request.url` fails where Host is no host.
    if isinstance(error, NotFoundException):
        return RouteNotFound("There is nothing at this path. See /openapi.json for what there is.")
    if isinstance(error, MethodNotAllowedException):
        return errors.MethodNotAllowed(f"{request.method} is not possible at this path.")
    if isinstance(error, InternalServerException) and not request.is_connected:
        return MalformedRequest("The connection ended before the body did.")
    if error.status_code == HTTP_413_REQUEST_ENTITY_TOO_LARGE:
        return errors.TooLarge("The body is larger than this path takes.")
    if isinstance(error, ClientException):
        return MalformedRequest("The request does not have the form that this path takes.")
    return error
