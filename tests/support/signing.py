"""A caller that signs, written from the published scheme and from nothing of ours."""

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx2

from tests.support.gateways import SUBMISSION, Gateway

SECRET = "reqrun_secret_of_a_test"


def signed(  # noqa: PLR0913  # the parts of the published scheme
    key: str,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    secret: str = SECRET,
    timestamp: str | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """The four headers of a signed call."""
    timestamp = timestamp or datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    nonce = nonce or uuid.uuid4().hex
    text = "\n".join((method, path, timestamp, nonce, hashlib.sha256(body).hexdigest()))
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {
        "authorization": f"Bearer {key}",
        "x-reqrun-timestamp": timestamp,
        "x-reqrun-nonce": nonce,
        "x-reqrun-signature": f"v1={mac}",
    }


async def submit(
    gateway: Gateway, key: str, nonce: str | None = None, **fields: Any
) -> httpx2.Response:
    """POST a signed chat completion."""
    body = json.dumps({**SUBMISSION, **fields}).encode()
    headers = signed(key, "POST", "/v1/chat/completions", body, nonce=nonce)
    return await gateway.client.post("/v1/chat/completions", content=body, headers=headers)


async def call(
    gateway: Gateway, key: str, method: str, path: str, nonce: str | None = None
) -> httpx2.Response:
    """A signed call without a body."""
    headers = signed(key, method, path.partition("?")[0], nonce=nonce)
    return await gateway.client.request(method, path, headers=headers)
