"""Content at rest: bodies under their project's data key (decision 0009).

A body's key is made of two halves: the project's *data key* (database `accounts`, sealed to the
data plane) and the request's *body key* (database `requests`). Either is worth nothing alone, so
that destroying one of them destroys the content: the body key of one request, the data key of a
whole project. AES-256-GCM; a body that is moved to another request, kind or number does not open.
"""

import hashlib
import hmac
import os
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.common.crypto import SealBroken

BodyKind = Literal["request", "result", "provider_error"]

DATA_KEY_BYTES: Final = 32
BODY_KEY_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 32

_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12


def new_data_key() -> bytes:
    """The raw bytes of a fresh data key; they leave the process only sealed."""
    return os.urandom(DATA_KEY_BYTES)


def new_body_key() -> bytes:
    """A request's own half."""
    return os.urandom(BODY_KEY_BYTES)


class DataKey:
    """A project's data key, opened. Never printed."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        """Raises SealBroken where `raw` is no data key."""
        if len(raw) != DATA_KEY_BYTES:
            raise SealBroken("a data key has 32 bytes")
        self._raw = raw

    def fingerprint(self, text: bytes) -> bytes:
        """Tell two texts apart later without keeping them; keyed, so it confirms no guess."""
        return hmac.digest(self._derive(b"fingerprint"), text, hashlib.sha256)

    def of(self, request_id: str, body_key: bytes) -> "BodySeal":
        """What seals and opens the bodies of one request."""
        return BodySeal(self._derive(b"body" + body_key), request_id)

    def _derive(self, purpose: bytes) -> bytes:
        """HKDF-Expand, one block (RFC 5869, 2.3): the raw key is random, it needs no extraction."""
        return hmac.digest(self._raw, purpose + b"\x01", hashlib.sha256)


class BodySeal:
    """Seals and opens one request's bodies; its key is its own, so random nonces never meet."""

    __slots__ = ("_cipher", "_request_id")

    def __init__(self, key: bytes, request_id: str) -> None:
        self._cipher, self._request_id = AESGCM(key), request_id

    def seal(self, plain: bytes, kind: BodyKind, number: int = 0) -> bytes:
        """Format (1 byte), nonce (12), ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plain, self._name(kind, number))

    def open(self, sealed: bytes, kind: BodyKind, number: int = 0) -> bytes:
        """The plain bytes. Raises SealBroken."""
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT:
            raise SealBroken("a body of an unknown format")
        try:
            return self._cipher.decrypt(nonce, text, self._name(kind, number))
        except (InvalidTag, ValueError):
            raise SealBroken("the body does not open as this") from None

    def _name(self, kind: BodyKind, number: int) -> bytes:
        return f"bodies/{self._request_id}/{kind}/{number}".encode()
