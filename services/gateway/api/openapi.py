"""The public API as OpenAPI 3.1, generated from the Structs that read and write it.

Every status of every operation is there with its codes: they come from the error classes, so that
a new one cannot be forgotten. Made once, at start-up.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from libs.common import errors
from libs.common.web.errors import FORMS, ErrorDetail, ErrorView, RouteNotFound
from libs.ledger.connection import ItemRefused
from services.gateway.api import examples, views
from services.gateway.domain import errors as refusals
from services.gateway.domain.submissions import ChatCompletionBody

VERSION: Final = "1.0.0"

Json = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_STRUCTS: Final = (
    ChatCompletionBody,
    views.AcceptedView,
    views.RequestView,
    views.AttemptsView,
    ErrorView,
)

_COMMON_ERRORS: Final = (
    refusals.InvalidHeader,
    refusals.MissingApiKey,
    refusals.InvalidApiKey,
    refusals.MissingSignature,
    refusals.ProjectSuspended,
    errors.MethodNotAllowed,
    RouteNotFound,
    errors.Unavailable,
)
_SUBMIT_ERRORS: Final = (
    *_COMMON_ERRORS,
    refusals.InvalidJson,
    refusals.InvalidBody,
    refusals.UnsupportedParameter,
    refusals.NoProviderConnection,
    refusals.BodyTimedOut,
    refusals.BodyTooLarge,
    refusals.ResultErased,
    ItemRefused,
)
_READ_ERRORS: Final = (*_COMMON_ERRORS, refusals.RequestNotFound)
_SHOW_ERRORS: Final = (*_READ_ERRORS, refusals.UnsupportedParameter)

_HEADERS: Final[Mapping[str, tuple[str, str]]] = {
    "X-Request-Id": ("string", "Names this call; tell it to support."),
    "X-ReqRun-Request-Id": ("string", "The request's id, `rr_…`."),
    "X-ReqRun-Status": ("string", "The request's status."),
    "X-ReqRun-Attempts": ("integer", "Calls to the provider so far."),
    "Server-Timing": ("string", "Milliseconds: `accept` storing it, `wait` waiting for it."),
    "Location": ("string", "Where a request that is not final can be asked for."),
    "Retry-After": ("integer", "Seconds after which asking again makes sense."),
    "Allow": ("string", "The methods of this path."),
}
_ALWAYS: Final = ("X-Request-Id",)
_ABOUT_REQUEST: Final = (
    *_ALWAYS, "X-ReqRun-Request-Id", "X-ReqRun-Status", "X-ReqRun-Attempts", "Server-Timing",
    "Location", "Retry-After",
)  # fmt: skip
_ERROR_HEADERS: Final = {405: (*_ALWAYS, "Allow"), 503: (*_ALWAYS, "Retry-After")}


def _document() -> Json:
    """The whole of it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ReqRun",
            "version": VERSION,
            "description": "Runs LLM requests that must not be lost.",
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "paths": {
            "/v1/chat/completions": {"post": _submit()},
            "/v1/requests/{id}": {"parameters": [_id_parameter()], "get": _show()},
            "/v1/requests/{id}/attempts": {"parameters": [_id_parameter()], "get": _attempts()},
        },
        "components": _components(),
    }


def _submit() -> Json:
    finished = {
        "description": "The provider's body, untouched, when it was waited for and came in time.",
        "type": "object",
    }
    shapes = {"anyOf": [_ref("AcceptedView"), finished]}
    shown = {
        "accepted": {"value": examples.ACCEPTED},
        "finished": {"value": examples.COMPLETION},
    }
    return {
        "operationId": "createChatCompletion",
        "summary": "Store a request and run it; wait for its result or fetch it later",
        "tags": ["Chat"],
        "parameters": [_prefer_parameter()],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _ref("ChatCompletionBody"),
                    "example": examples.SUBMIT,
                }
            },
        },
        "responses": {
            "200": _response("Accepted, or finished", shapes, shown, _ABOUT_REQUEST),
            **_error_responses(_SUBMIT_ERRORS),
        },
    }


def _show() -> Json:
    shown = {"completed": {"value": examples.REQUEST}}
    return {
        "operationId": "getRequest",
        "summary": "Where a request stands",
        "tags": ["Requests"],
        "parameters": [
            {
                "name": "wait",
                "in": "query",
                "description": "Seconds to wait for the request's end before answering.",
                "schema": {"type": "number", "minimum": 0, "maximum": 600, "default": 0},
            }
        ],
        "responses": {
            "200": _response("Its status", _ref("RequestView"), shown, _ABOUT_REQUEST),
            **_error_responses(_SHOW_ERRORS),
        },
    }


def _attempts() -> Json:
    shown = {"retried": {"value": examples.ATTEMPTS}}
    headers = (*_ALWAYS, "X-ReqRun-Request-Id")
    return {
        "operationId": "listAttempts",
        "summary": "A request's calls to the provider",
        "tags": ["Requests"],
        "responses": {
            "200": _response("Its timeline", _ref("AttemptsView"), shown, headers),
            **_error_responses(_READ_ERRORS),
        },
    }


def _id_parameter() -> Json:
    schema = {"type": "string", "pattern": "^rr_[0-9a-z]{26}$"}
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The request's id.",
        "schema": schema,
        "example": examples.ID,
    }


def _prefer_parameter() -> Json:
    return {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=N` (RFC 7240): wait up to N seconds, where the body does not say.",
        "schema": {"type": "string"},
        "example": "wait=20",
    }


def _components() -> Json:
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template=_REF)
    # Whatever else a body holds is the provider's business.
    schemas["ChatCompletionBody"]["additionalProperties"] = True
    schemas["MessageBody"]["additionalProperties"] = True
    for closed in ("AcceptedView", "RequestView", "ErrorView", "ErrorDetail"):
        schemas[closed]["additionalProperties"] = False
    return {
        "schemas": schemas,
        "securitySchemes": {
            "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "reqrun_live_…"}
        },
    }


def _response(
    description: str, schema: Json, shown: Mapping[str, Json], headers: Iterable[str]
) -> Json:
    return {
        "description": description,
        "headers": {name: _header(name) for name in headers},
        "content": {"application/json": {"schema": schema, "examples": dict(shown)}},
    }


def _error_responses(kinds: Iterable[type[errors.AppError]]) -> Json:
    """By status, with one example a code. Anything can also be a 500."""
    codes: defaultdict[int, dict[str, str]] = defaultdict(dict)
    codes[500]["internal_error"] = "api_error"
    for kind in kinds:
        form = next(FORMS[base] for base in kind.__mro__ if base in FORMS)
        codes[form.status][kind.code] = form.type
    return {str(status): _error_response(status, of) for status, of in sorted(codes.items())}


def _error_response(status: int, types: Mapping[str, str]) -> Json:
    shown = {
        code: {"value": msgspec.to_builtins(ErrorView(ErrorDetail("What was wrong.", kind, code)))}
        for code, kind in types.items()
    }
    description = ", ".join(f"`{code}`" for code in types)
    headers = _ERROR_HEADERS.get(status, _ALWAYS)
    return _response(description, _ref("ErrorView"), shown, headers)


def _header(name: str) -> Json:
    kind, description = _HEADERS[name]
    return {"description": description, "schema": {"type": kind}}


def _ref(name: str) -> Json:
    return {"$ref": _REF.format(name=name)}


DOCUMENT: Final = msgspec.json.encode(_document())
"""As it is served."""
