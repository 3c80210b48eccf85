"""What the operations of the OpenAPI document are made of: responses, headers, errors.

Every status of every operation is there with its codes: they come from the error classes, so that
a new one cannot be forgotten.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from libs.common import errors
from libs.common.web.errors import FORMS, ErrorDetail, ErrorView, RouteNotFound
from services.gateway.domain import errors as refusals

Json = dict[str, Any]
Kinds = Iterable[type[errors.AppError]]

REF: Final = "#/components/schemas/{name}"

_HEADERS: Final[Mapping[str, tuple[str, str]]] = {
    "X-Request-Id": ("string", "Names this call; tell it to support."),
    "X-ReqRun-Request-Id": ("string", "The request's id, `rr_…`."),
    "X-ReqRun-Status": ("string", "The request's status."),
    "X-ReqRun-Attempts": ("integer", "Calls to the provider so far."),
    "X-ReqRun-Replayed": ("string", "`true`: the idempotency key led to a request of before."),
    "Server-Timing": ("string", "Milliseconds: `accept` storing it, `wait` waiting for it."),
    "Location": ("string", "Where a request that is not final can be asked for."),
    "Retry-After": ("integer", "Seconds after which asking again makes sense."),
    "Allow": ("string", "The methods of this path."),
    "X-Should-Retry": ("string", "`true`: sending the same call again joins the same request."),
    "X-RateLimit-Limit-Requests": ("string", "Calls a minute, of the tighter limit."),
    "X-RateLimit-Remaining-Requests": ("string", "Calls that are left now."),
    "X-RateLimit-Reset-Requests": ("string", "Until all are left again, like `1m3.5s`."),
}
ALWAYS: Final = ("X-Request-Id",)
RATES: Final = (
    "X-RateLimit-Limit-Requests", "X-RateLimit-Remaining-Requests", "X-RateLimit-Reset-Requests",
)  # fmt: skip
ABOUT_REQUEST: Final = (
    *ALWAYS, *RATES, "X-ReqRun-Request-Id", "X-ReqRun-Status", "X-ReqRun-Attempts",
    "Server-Timing", "Location", "Retry-After",
)  # fmt: skip
SUBMITTED: Final = (*ABOUT_REQUEST, "X-ReqRun-Replayed")
SUBMISSION_ERRORS: Final = ("X-Should-Retry",)
_TOLD_RATES: Final = (*ALWAYS, *RATES)
_ERROR_HEADERS: Final = {
    403: ALWAYS,  # decided before any rate is looked at, as are the next two
    405: (*ALWAYS, "Allow"),
    413: ALWAYS,
    429: (*_TOLD_RATES, "Retry-After"),
    503: (*_TOLD_RATES, "Retry-After"),
    504: ABOUT_REQUEST,
}

OPEN_ERRORS: Final = (errors.MethodNotAllowed, RouteNotFound)
COMMON_ERRORS: Final = (
    *OPEN_ERRORS,
    refusals.InvalidHeader,
    refusals.MissingApiKey,
    refusals.InvalidApiKey,
    refusals.MissingSignature,
    refusals.InvalidSignature,
    refusals.StaleTimestamp,
    refusals.NonceReused,
    refusals.ProjectSuspended,
    refusals.AddressNotAllowed,
    refusals.AddressRateLimited,
    refusals.RateLimited,
    errors.Unavailable,
)


def response(
    description: str, schema: Json, shown: Mapping[str, Json], headers: Iterable[str]
) -> Json:
    """A response in JSON with its examples and headers."""
    return {
        "description": description,
        "headers": {name: _header(name) for name in headers},
        "content": {"application/json": {"schema": schema, "examples": dict(shown)}},
    }


def error_responses(kinds: Kinds, headers: Iterable[str] = ()) -> Json:
    """By status, with one example a code. Anything can also be a 500. `headers`: of all of them."""
    codes: defaultdict[int, dict[str, str]] = defaultdict(dict)
    codes[500]["internal_error"] = "api_error"
    for kind in kinds:
        form = next(FORMS[base] for base in kind.__mro__ if base in FORMS)
        codes[form.status][kind.code] = form.type
    return {
        str(status): _error_response(of, (*_ERROR_HEADERS.get(status, _TOLD_RATES), *headers))
        for status, of in sorted(codes.items())
    }


def ref(name: str) -> Json:
    """Of a schema among the components."""
    return {"$ref": REF.format(name=name)}


def _error_response(types: Mapping[str, str], headers: Iterable[str]) -> Json:
    shown = {
        code: {"value": msgspec.to_builtins(ErrorView(ErrorDetail("What was wrong.", kind, code)))}
        for code, kind in types.items()
    }
    description = ", ".join(f"`{code}`" for code in types)
    return response(description, ref("ErrorView"), shown, headers)


def _header(name: str) -> Json:
    kind, description = _HEADERS[name]
    return {"description": description, "schema": {"type": kind}}
