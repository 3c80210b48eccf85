"""The parameters of the OpenAPI document's operations."""

from typing import Final

from libs.ledger.states import State
from services.gateway.api import examples, listing, views
from services.gateway.api.responses import Json
from services.gateway.domain.submissions import KEY_LENGTH, MODEL_BYTES

NO_NUL: Final = r"^[^\u0000]*$"


def wait() -> Json:
    """How long to wait for a request's end."""
    schema = {"type": "number", "minimum": 0, "maximum": 600, "default": 0}
    return _query("wait", "Seconds to wait for the request's end before answering.", schema)


def of_list() -> list[Json]:
    """Page and filters."""
    moment = {
        "anyOf": [
            {"type": "string", "format": "date-time", "pattern": listing.MOMENT},
            {"type": "integer", "minimum": 0, "maximum": listing.MAX_SECONDS},
        ]
    }
    limit = {
        "type": "integer",
        "minimum": 1,
        "maximum": listing.MAX_LIMIT,
        "default": listing.DEFAULT_LIMIT,
    }
    states = {"type": "array", "minItems": 1, "items": {"type": "string", "enum": [*State]}}
    model = {"type": "string", "maxLength": MODEL_BYTES, "pattern": NO_NUL}
    return [
        _query("limit", "How many on a page.", limit),
        _query("after", "The `last_id` of the page before.", _id_schema()),
        _query("status", "Only these.", states) | {"style": "form", "explode": False},
        _query("model", "Only of this model.", model),
        _query("mode", "Must be the key's own.", {"type": "string", "enum": ["live", "test"]}),
        _query("created_after", "Not older: a time, or Unix seconds.", moment),
        _query("created_before", "Older: a time, or Unix seconds.", moment),
    ]


def request_id() -> Json:
    """Part of the path."""
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The request's id.",
        "schema": _id_schema(),
        "example": examples.ID,
    }


def prefer() -> Json:
    """How long to wait, as RFC 7240 says it."""
    return {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=N` (RFC 7240): wait up to N seconds, where the body does not say.",
        "schema": {"type": "string"},
        "example": "wait=20",
    }


def idempotency_key() -> Json:
    """For clients that cannot put it into the body."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "As `idempotency_key` in the body, which comes first. Not signed.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH},
        "example": "order-4711",
    }


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _id_schema() -> Json:
    return {"type": "string", "pattern": views.ID_PATTERN}
