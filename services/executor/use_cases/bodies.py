"""The bodies of a request: opened for the call alone, and never written but sealed."""

from typing import Final

import msgspec
from prometheus_client import Counter

from libs.common import logs
from libs.common.content import BodySeal, DataKey
from libs.common.crypto import SealBroken
from libs.ledger.claim import Claim

log = logs.get(__name__)

CONTENT_REFUSED: Final = "content_refused"

UNREADABLE: Final = Counter("reqrun_unreadable_bodies_total", "Claims whose body did not open")

PROVIDER_ERROR_BYTES: Final = 16 * 1024
"""Of a provider's error this much is kept for its owner."""


class Content(msgspec.Struct, frozen=True):
    """A request's body in the clear, and what seals everything else of that request."""

    body: bytes
    seal: BodySeal


def open_request(claim: Claim, data_key: DataKey) -> Content | None:
    """None where the body or its key is gone, or does not open: that never heals."""
    try:
        if claim.body is not None and claim.body_key is not None:
            seal = data_key.of(claim.request_id, claim.body_key)
            return Content(seal.open(claim.body, "request"), seal)
    except SealBroken:
        pass  # told below, as for a body that is gone
    UNREADABLE.inc()
    log.error(CONTENT_REFUSED, request_id=claim.request_id, project_id=claim.project_id)
    return None


def seal_result(seal: BodySeal, body: bytes) -> bytes:
    """A request has one result, whichever attempt it came from."""
    return seal.seal(body, "result")


def seal_provider_error(seal: BodySeal, body: bytes, attempt: int) -> bytes | None:
    """The first PROVIDER_ERROR_BYTES of it; None where the provider said nothing."""
    return seal.seal(body[:PROVIDER_ERROR_BYTES], "provider_error", attempt) if body else None
