"""API keys and their digests, and sealing (decision 0005).

*API keys* are looked up, never given out again: we store HMAC-SHA-256 under a pepper.
*Sealed* values are given out again, but only to who holds the private key: HPKE (RFC 9180, base
mode, DHKEM X25519, HKDF-SHA-256, AES-256-GCM). `context` names table, column, row and project, so a
ciphertext that is moved to another row does not open.
"""

import hashlib
import hmac
import secrets
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

Mode = Literal["live", "test"]

PREFIXES: Final[dict[str, Mode]] = {"reqrun_live_": "live", "reqrun_test_": "test"}
SECRET_PREFIX: Final = "reqrun_secret_"  # noqa: S105  # what comes before the secret itself
KEY_ID_BYTES: Final = 4

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH: Final = 43  # characters of base62 that hold 256 bits
_CHECKSUM_LENGTH: Final = 6  # characters of base62 that hold 32 bits
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealBroken(Exception):
    """The sealed bytes were made for another context, by another key, or were changed."""


def issue_api_key(mode: Mode) -> str:
    """Make a new key: prefix, 256 random bits, CRC-32 so that typos are found without a lookup."""
    prefix = next(prefix for prefix, of in PREFIXES.items() if of == mode)
    body = prefix + _base62(secrets.randbits(256), _SECRET_LENGTH)
    return body + _checksum(body)


def issue_signing_secret() -> str:
    """Make a new signing secret: prefix, 256 random bits. Clients use it as the text that it is."""
    return SECRET_PREFIX + _base62(secrets.randbits(256), _SECRET_LENGTH)


def is_well_formed(key: str) -> bool:
    """Tell whether `key` has our prefix, length and checksum."""
    return (
        key.startswith(tuple(PREFIXES))
        and key.isascii()
        and len(key) == len("reqrun_live_") + _SECRET_LENGTH + _CHECKSUM_LENGTH
        and key[-_CHECKSUM_LENGTH:] == _checksum(key[:-_CHECKSUM_LENGTH])
    )


def digest(key: str, pepper: bytes) -> bytes:
    """32 bytes to store and look up in place of the key."""
    return hmac.digest(pepper, key.encode(), hashlib.sha256)


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        characters.append(_BASE62[rest])
    return "".join(reversed(characters))


class PublicSealingKey:
    """Seals for whoever holds the private half; cannot open."""

    def __init__(self, raw: bytes) -> None:
        """`raw`: the 32 bytes of an X25519 public key."""
        self._key = X25519PublicKey.from_public_bytes(raw)
        self.key_id = hashlib.sha256(raw).digest()[:KEY_ID_BYTES]

    @classmethod
    def from_text(cls, text: str) -> "PublicSealingKey":
        """Read the base64 form that settings hold."""
        return cls(b64decode(text, validate=True))

    def seal(self, plain: bytes, context: str) -> bytes:
        """Key id (4 bytes), then the HPKE encapsulation and ciphertext."""
        return self.key_id + _SUITE.encrypt(plain, self._key, context.encode())


class SealingKey:
    """A private key: opens what its public half sealed."""

    def __init__(self, raw: bytes) -> None:
        """`raw`: the 32 bytes of an X25519 private key."""
        self.private = X25519PrivateKey.from_private_bytes(raw)
        self.public = PublicSealingKey(self.private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> "SealingKey":
        """A fresh key."""
        return cls(X25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_text(cls, text: str) -> "SealingKey":
        """Read the base64 form that settings hold."""
        return cls(b64decode(text, validate=True))

    def to_text(self) -> str:
        """The private key for a secret store, base64."""
        return b64encode(self.private.private_bytes_raw()).decode()

    def public_text(self) -> str:
        """The public key for settings, base64."""
        return b64encode(self.private.public_key().public_bytes_raw()).decode()


class SealingKeyring:
    """Several private keys, so that old and new both open while a rotation goes on."""

    def __init__(self, keys: Iterable[SealingKey]) -> None:
        """Any number of keys; the blob says which one it needs."""
        self._keys = {key.public.key_id: key for key in keys}

    def open(self, sealed: bytes, context: str) -> bytes:
        """The plain bytes. Raises SealBroken."""
        key = self._keys.get(sealed[:KEY_ID_BYTES])
        if key is None:
            raise SealBroken("no key at hand opens this seal")
        try:
            return _SUITE.decrypt(sealed[KEY_ID_BYTES:], key.private, context.encode())
        except (InvalidTag, ValueError) as broken:
            raise SealBroken("the seal does not open in this context") from broken
