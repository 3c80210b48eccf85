"""The public API as OpenAPI 3.1, generated from the Structs that read and write it.

Made once, at start-up; what its operations are made of is in responses.py.
"""

from typing import Any, Final

import msgspec

from libs.common.web.errors import ErrorView
from libs.ledger.connection import ItemRefused
from services.gateway.api import examples, parameters, views
from services.gateway.api.responses import (
    ABOUT_REQUEST,
    ALWAYS,
    COMMON_ERRORS,
    RATES,
    REF,
    SUBMISSION_ERRORS,
    SUBMITTED,
    Json,
    Kinds,
    error_responses,
    ref,
    response,
)
from services.gateway.domain import errors as refusals
from services.gateway.domain.submissions import ChatCompletionBody, RetryBody

VERSION: Final = "1.0.0"

_STRUCTS: Final = (
    ChatCompletionBody,
    RetryBody,
    views.AcceptedView,
    views.RequestView,
    views.RequestsView,
    views.AttemptsView,
    views.ModelsView,
    ErrorView,
)

_BODY_ERRORS: Final = (
    *COMMON_ERRORS,
    refusals.InvalidJson,
    refusals.InvalidBody,
    refusals.BodyTimedOut,
    refusals.BodyTooLarge,
)
_ACCEPT_ERRORS: Final = (
    *_BODY_ERRORS,
    refusals.NoProviderConnection,
    refusals.PendingLimitReached,
    refusals.MonthlyQuotaReached,
    refusals.ResultErased,
    refusals.WaitTimedOut,
    ItemRefused,
)
_SUBMIT_ERRORS: Final = (
    *_ACCEPT_ERRORS,
    refusals.UnsupportedParameter,
    refusals.IdempotencyConflict,
)
_RETRY_ERRORS: Final = (*_ACCEPT_ERRORS, refusals.RequestNotFound, refusals.NotFailed)
_READ_ERRORS: Final = (*COMMON_ERRORS, refusals.RequestNotFound)
_SHOW_ERRORS: Final = (*_READ_ERRORS, refusals.UnsupportedParameter)
_CHANGE_ERRORS: Final = (*_READ_ERRORS, refusals.BodyTimedOut, refusals.BodyTooLarge)


def _document() -> Json:
    """The whole of it."""
    of_one = {"parameters": [parameters.request_id()]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ReqRun",
            "version": VERSION,
            "description": "Runs LLM requests that must not be lost.",
        },
        "servers": [{"url": "/"}],
        "security": [
            {"apiKey": []},
            {"apiKey": [], "timestamp": [], "nonce": [], "signature": []},
        ],
        "paths": {
            "/v1/chat/completions": {"post": _submit()},
            "/v1/models": {"get": _models()},
            "/v1/requests": {"get": _list()},
            "/v1/requests/{id}": {**of_one, "get": _show(), "delete": _erase()},
            "/v1/requests/{id}/attempts": {**of_one, "get": _attempts()},
            "/v1/requests/{id}/cancel": {**of_one, "post": _cancel()},
            "/v1/requests/{id}/retry": {**of_one, "post": _retry()},
        },
        "components": _components(),
    }


def _submit() -> Json:
    return {
        "operationId": "createChatCompletion",
        "summary": "Store a request and run it; wait for its result or fetch it later",
        "description": "With a drop-in key, a request that fails within the wait answers with the "
        "provider's own status and error body.",
        "tags": ["Chat"],
        "parameters": [parameters.prefer(), parameters.idempotency_key()],
        "requestBody": _body("ChatCompletionBody", examples.SUBMIT, is_required=True),
        "responses": {
            "200": _submitted(),
            **error_responses(_SUBMIT_ERRORS, SUBMISSION_ERRORS),
        },
    }


def _retry() -> Json:
    return {
        "operationId": "retryRequest",
        "summary": "Submit a failed request again, as a new one",
        "tags": ["Requests"],
        "parameters": [parameters.prefer()],
        "requestBody": _body("RetryBody", examples.RETRY, is_required=False),
        "responses": {
            "200": _submitted(),
            **error_responses(_RETRY_ERRORS, SUBMISSION_ERRORS),
        },
    }


def _submitted() -> Json:
    finished = {
        "description": "The provider's body, untouched, when it was waited for and came in time.",
        "type": "object",
    }
    shown = {
        "accepted": {"value": examples.ACCEPTED},
        "finished": {"value": examples.COMPLETION},
    }
    shapes = {"anyOf": [ref("AcceptedView"), finished]}
    return response("Accepted, or finished", shapes, shown, SUBMITTED)


def _show() -> Json:
    operation = _of_request("getRequest", "Where a request stands", _SHOW_ERRORS)
    return operation | {"parameters": [parameters.wait()]}


def _cancel() -> Json:
    errors = (*_CHANGE_ERRORS, refusals.AlreadyFinished)
    return _of_request("cancelRequest", "End a request that is not final", errors)


def _erase() -> Json:
    return _of_request(
        "eraseRequest", "Destroy a request's content now, and keep what happened", _CHANGE_ERRORS
    )


def _of_request(operation: str, summary: str, errors: Kinds) -> Json:
    shown = {"completed": {"value": examples.REQUEST}}
    return {
        "operationId": operation,
        "summary": summary,
        "tags": ["Requests"],
        "responses": {
            "200": response("Its status", ref("RequestView"), shown, ABOUT_REQUEST),
            **error_responses(errors),
        },
    }


def _list() -> Json:
    shown = {"page": {"value": examples.REQUESTS}}
    errors = (*COMMON_ERRORS, refusals.UnsupportedParameter)
    return {
        "operationId": "listRequests",
        "summary": "The project's requests, newest first",
        "tags": ["Requests"],
        "parameters": parameters.of_list(),
        "responses": {
            "200": response("A page", ref("RequestsView"), shown, (*ALWAYS, *RATES)),
            **error_responses(errors),
        },
    }


def _attempts() -> Json:
    shown = {"retried": {"value": examples.ATTEMPTS}}
    headers = (*ALWAYS, *RATES, "X-ReqRun-Request-Id")
    return {
        "operationId": "listAttempts",
        "summary": "A request's calls to the provider",
        "tags": ["Requests"],
        "responses": {
            "200": response("Its timeline", ref("AttemptsView"), shown, headers),
            **error_responses(_READ_ERRORS),
        },
    }


def _models() -> Json:
    shown = {"models": {"value": examples.MODELS}}
    errors = (*COMMON_ERRORS, refusals.NoProviderConnection)
    return {
        "operationId": "listModels",
        "summary": "The models that the project's provider lists",
        "tags": ["Models"],
        "responses": {
            "200": response("Its list", ref("ModelsView"), shown, (*ALWAYS, *RATES)),
            **error_responses(errors),
        },
    }


def _body(schema: str, example: Json, *, is_required: bool) -> Json:
    content = {"schema": ref(schema), "example": example}
    return {"required": is_required, "content": {"application/json": content}}


def _components() -> Json:
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template=REF)
    # Whatever else a body holds is the provider's business.
    schemas["ChatCompletionBody"]["additionalProperties"] = True
    schemas["MessageBody"]["additionalProperties"] = True
    # Decoded as any boolean, so that `true` has an answer of its own.
    fields = schemas["ChatCompletionBody"]["properties"]
    fields["stream"]["enum"] = [False, None]
    # Checked after decoding: a pattern would cost every submission more.
    for text in (fields["model"], fields["idempotency_key"]["anyOf"][0]):
        text["pattern"] = parameters.NO_NUL
    for closed in ("AcceptedView", "RequestView", "ErrorView", "ErrorDetail"):
        schemas[closed]["additionalProperties"] = False
    return {"schemas": schemas, "securitySchemes": _security_schemes()}


def _security_schemes() -> dict[str, Any]:
    """A key that was issued with a signing secret needs all four, any other the first alone."""
    signed = {
        "timestamp": ("X-ReqRun-Timestamp", "ISO 8601 in UTC"),
        "nonce": ("X-ReqRun-Nonce", "16 to 128 visible characters, never the same twice"),
        "signature": ("X-ReqRun-Signature", "`v1=` and 64 hex digits"),
    }
    return {
        "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "reqrun_live_…"},
        **{
            name: {"type": "apiKey", "in": "header", "name": header, "description": text}
            for name, (header, text) in signed.items()
        },
    }


DOCUMENT: Final = msgspec.json.encode(_document())
"""As it is served."""
