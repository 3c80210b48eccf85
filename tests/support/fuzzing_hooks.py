"""What schemathesis loads into its own process: how to authenticate, and ids that are there.

The environment says which key (FUZZ_KEY), with which signing secret if it has one (FUZZ_SECRET),
and which requests are there (FUZZ_IDS, separated by commas).
"""

import hashlib
import hmac
import os
import random
import uuid
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import schemathesis

_KEY: Final = os.environ["FUZZ_KEY"]
_SECRET: Final = os.environ.get("FUZZ_SECRET", "")
_IDS: Final = os.environ.get("FUZZ_IDS", "").split(",")
_random: Final = random.Random(4711)  # noqa: S311  # a choice of examples


class Authentication(requests.auth.AuthBase):
    """The bearer key, and over exactly what is sent the signature, where the key has a secret."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Called last, when path and body are bytes."""
        request.headers["Authorization"] = f"Bearer {_KEY}"
        if _SECRET:
            request.headers.update(_signature(request))
        return request


def _signature(request: requests.PreparedRequest) -> dict[str, str]:
    body: Any = request.body or b""
    content = body.encode() if isinstance(body, str) else body
    # What is sent with a GET is no part of the published scheme.
    signed = b"" if request.method == "GET" else content
    timestamp, nonce = datetime.now(UTC).isoformat(), uuid.uuid4().hex
    path = urlsplit(str(request.url)).path
    text = f"{request.method}\n{path}\n{timestamp}\n{nonce}\n{hashlib.sha256(signed).hexdigest()}"
    mac = hmac.new(_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {
        "X-ReqRun-Timestamp": timestamp,
        "X-ReqRun-Nonce": nonce,
        "X-ReqRun-Signature": f"v1={mac}",
    }


schemathesis.auth.set_from_requests(Authentication())  # type: ignore[attr-defined]  # as documented


@schemathesis.hook
def map_path_parameters(
    _context: schemathesis.HookContext, path_parameters: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Every other well-formed id becomes one that is there: else nothing would be found."""
    found = (path_parameters or {}).get("id")
    if isinstance(found, str) and found.startswith("rr_") and _random.random() < 0.5:
        return {**(path_parameters or {}), "id": _random.choice(_IDS)}
    return path_parameters


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Any, _kwargs: dict[str, Any]) -> None:
    """A list's `mode` must be the key's own, which no schema can say."""
    if case.query and case.query.get("mode") == "test":
        case.query["mode"] = "live"
