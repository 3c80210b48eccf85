"""One function a call of the API: method, path, body and patience, and nothing that happens."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from reqrun.exchange import Call
from reqrun.shapes import ChatParams, ListParams

SECONDS: Final = 30.0
"""How long the server may stay silent beyond the wait that it was asked for."""
DEFAULT_WAIT: Final = 25.0
"""How long the server waits when it is asked to and not told how long."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def submit(params: ChatParams, new_key: Callable[[], str]) -> Call:
    """A request; one without an idempotency key gets a new one, so that it can be sent again.

    Raises ValueError where a number or a text is none that JSON has.
    """
    fields: dict[str, Any] = {**params}
    patience = float(fields.pop("timeout", SECONDS))
    fields.update(fields.pop("extra_body", None) or {})
    fields["wait"] = bool(fields.get("wait"))
    if fields.get("idempotency_key") is None:
        fields["idempotency_key"] = new_key()
    if fields.get("wait_timeout", ...) is None:
        del fields["wait_timeout"]
    wait = float(fields.get("wait_timeout", DEFAULT_WAIT)) if fields["wait"] else 0.0
    return Call("POST", "/v1/chat/completions", patience + wait, body=encode(fields))


def show(request_id: str, wait: float = 0.0) -> Call:
    """Where a request stands, once it is final or `wait` seconds (at most 600) have passed."""
    query = {"wait": f"{wait:.3f}"} if wait > 0 else {}
    return Call("GET", _path(request_id), SECONDS + wait, query)


def attempts(request_id: str) -> Call:
    """A request's timeline."""
    return Call("GET", _path(request_id, "/attempts"), SECONDS)


def cancel(request_id: str) -> Call:
    """End a request that is not final."""
    return Call("POST", _path(request_id, "/cancel"), SECONDS)


def retry(request_id: str) -> Call:
    """A new request from a failed one; asking twice gives the same one. It is not waited for."""
    return Call("POST", _path(request_id, "/retry"), SECONDS, body=encode({"wait": False}))


def erase(request_id: str) -> Call:
    """Forget what was asked and answered."""
    return Call("DELETE", _path(request_id), SECONDS)


def page(params: ListParams) -> Call:
    """One page of requests."""
    query = {name: str(value) for name, value in params.items() if value is not None}
    return Call("GET", "/v1/requests", SECONDS, query)


def models() -> Call:
    """What the provider offers."""
    return Call("GET", "/v1/models", SECONDS)


def encode(fields: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8, as the published clients send it."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _path(request_id: str, rest: str = "") -> str:
    """The path is signed as it is sent, so an id that would need escaping is none of ours."""
    if not _ID.fullmatch(request_id):
        raise ValueError("this is not the id of a request")
    return f"/v1/requests/{request_id}{rest}"
