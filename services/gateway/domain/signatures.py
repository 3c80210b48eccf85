"""Signed calls, as published (docs/api.md, "Signing"): pure, over the bytes as they were received.

Signed is the method, the path, the timestamp's and the nonce's text as sent, and the SHA-256 of the
body, joined by line feeds. Not signed: the query, the host, other headers.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from services.gateway.domain.errors import InvalidSignature, MissingSignature, StaleTimestamp

TIMESTAMP_HEADER: Final = b"x-reqrun-timestamp"
NONCE_HEADER: Final = b"x-reqrun-nonce"
SIGNATURE_HEADER: Final = b"x-reqrun-signature"

WINDOW: Final = timedelta(seconds=300)
"""How far a timestamp may be from our clock, either way."""

_TIMESTAMP: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", re.ASCII
)
# No comma: a header that is there twice arrives joined by one.
_NONCE: Final = re.compile(r"[!-+\--~]{16,128}", re.ASCII)
_SIGNATURE: Final = re.compile(r"v1=([0-9a-f]{64})", re.ASCII)


class Signature(msgspec.Struct, frozen=True):
    """What a call's headers say. `signed_at` is aware UTC, `timestamp` its text as received."""

    timestamp: str
    signed_at: datetime
    nonce: str
    digest: str


def read(timestamp: str | None, nonce: str | None, signature: str | None) -> Signature:
    """The three headers. Raises MissingSignature, InvalidSignature."""
    if timestamp is None or nonce is None or signature is None:
        raise MissingSignature
    found = _SIGNATURE.fullmatch(signature)
    if found is None:
        raise InvalidSignature("`X-ReqRun-Signature` must be `v1=` and 64 lower-case hex digits.")
    if not _NONCE.fullmatch(nonce):
        raise InvalidSignature("`X-ReqRun-Nonce` must be 16 to 128 visible ASCII characters.")
    return Signature(timestamp, _moment(timestamp), nonce, found[1])


def check_time(signature: Signature, now: datetime) -> None:
    """Raises StaleTimestamp where it was signed too long ago, or in the future."""
    if abs(now - signature.signed_at) > WINDOW:
        raise StaleTimestamp(WINDOW)


def verify(signature: Signature, secret: bytes, method: str, path: bytes, body: bytes) -> None:
    """Compare in constant time. `path`: as received, without the query. Raises InvalidSignature."""
    expected = hmac.digest(secret, _text(signature, method, path, body), hashlib.sha256).hex()
    if not hmac.compare_digest(expected, signature.digest):
        raise InvalidSignature(
            "The signature does not match. Sign the method, the path, the timestamp, the nonce and "
            "the SHA-256 of exactly the bytes you send."
        )


def _text(signature: Signature, method: str, path: bytes, body: bytes) -> bytes:
    """What is signed: five parts, no line feed at the end."""
    return b"\n".join(
        (
            method.encode(),
            path,
            signature.timestamp.encode(),
            signature.nonce.encode(),
            hashlib.sha256(body).hexdigest().encode(),
        )
    )


def _moment(text: str) -> datetime:
    found = _TIMESTAMP.fullmatch(text)
    try:
        moment = found and datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        moment = None
    if found is None or moment is None:
        raise InvalidSignature(
            "`X-ReqRun-Timestamp` must be ISO 8601 in UTC, like `2026-05-06T13:52:06.123Z`."
        )
    return moment + timedelta(microseconds=int((found[2] or "0").ljust(6, "0")[:6]))
