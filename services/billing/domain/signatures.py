"""Whether a webhook is Paddle's: `Paddle-Signature: ts=<unix seconds>;h1=<hex>;h1=<hex>`.

HMAC-SHA-256 of `ts:` and the raw body (developer.paddle.com/webhooks/signature-verification). There
are several `h1`, and several secrets here, while a secret is replaced; any pair that agrees is
enough. Parts with other names are of versions to come, and ignored.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from libs.common.errors import Unauthenticated
from libs.common.settings import Secret

HEADER: Final = "Paddle-Signature"
TOLERANCE: Final = timedelta(seconds=30)
"""Between Paddle's clock and ours. Each retry is signed anew; a replay is known by its event id."""

_SECONDS: Final = re.compile(r"[1-9][0-9]{0,11}")


class MissingWebhookSignature(Unauthenticated):
    """There is no header."""

    code = "missing_webhook_signature"


class MalformedWebhookSignature(Unauthenticated):
    """The header has not one `ts` and at least one `h1`."""

    code = "malformed_webhook_signature"


class StaleWebhookSignature(Unauthenticated):
    """Signed too long ago."""

    code = "stale_webhook_signature"


class EarlyWebhookSignature(Unauthenticated):
    """Signed in the future."""

    code = "early_webhook_signature"


class InvalidWebhookSignature(Unauthenticated):
    """Nobody who knows one of our secrets signed these bytes."""

    code = "invalid_webhook_signature"


def verify(header: str | None, body: bytes, secrets: Iterable[Secret], now: datetime) -> None:
    """Return if it is. Raises one of the errors above; looks at nothing inside `body`."""
    if not header:
        raise MissingWebhookSignature(f"This path takes webhooks of Paddle's, with `{HEADER}`.")
    signed_at, signatures = _parse(header)
    age = now.timestamp() - int(signed_at)
    if age > TOLERANCE.total_seconds():
        raise StaleWebhookSignature("The signature is too old. Sign the event again.")
    if -age > TOLERANCE.total_seconds():
        raise EarlyWebhookSignature("The signature is of the future. Look at both clocks.")
    signed = signed_at.encode() + b":" + body
    expected = [sign(secret, signed).encode() for secret in secrets]
    if not any(hmac.compare_digest(one, given) for one in expected for given in signatures):
        raise InvalidWebhookSignature("The signature does not agree with the body.")


def sign(secret: Secret, signed: bytes) -> str:
    """The `h1` of these bytes, hex."""
    return hmac.new(secret.reveal().encode(), signed, hashlib.sha256).hexdigest()


def _parse(header: str) -> tuple[str, list[bytes]]:
    """`ts` as it stands there, and each `h1`."""
    parts = [part.strip().partition("=") for part in header.split(";")]
    times = [value for name, _, value in parts if name == "ts"]
    signatures = [value.encode() for name, _, value in parts if name == "h1" and value]
    if len(times) != 1 or not _SECONDS.fullmatch(times[0]) or not signatures:
        raise MalformedWebhookSignature(f"`{HEADER}` is not `ts=…;h1=…`.")
    return times[0], signatures
