"""Tokens: random texts that open a session or a link. Only their digest is kept."""

import hashlib
import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple

_BYTES: Final = 32

SESSION_IDLE: Final = timedelta(days=14)
SESSION_LIFE: Final = timedelta(days=90)


class Purpose(StrEnum):
    """What a link that was mailed is good for, once."""

    VERIFY = "verify"
    RESET = "reset"
    CHANGE_EMAIL = "change_email"
    RESTORE_EMAIL = "restore_email"


LIVES: Final = {
    Purpose.VERIFY: timedelta(hours=24),
    Purpose.RESET: timedelta(hours=1),
    Purpose.CHANGE_EMAIL: timedelta(hours=24),
    # Whoever lost an address to a thief may be away for some days.
    Purpose.RESTORE_EMAIL: timedelta(days=7),
}

PATHS: Final = {
    Purpose.VERIFY: "/verify",
    Purpose.RESET: "/reset-password",
    Purpose.CHANGE_EMAIL: "/change-email",
    Purpose.RESTORE_EMAIL: "/restore-email",
}
"""Where a link leads. The page there has a button: mail scanners open every link."""


class Token(NamedTuple):
    """`text` goes to its owner, `digest` into the database."""

    text: str
    digest: bytes


def new_token() -> Token:
    """256 random bits: a plain digest is enough, there is nothing to guess."""
    text = secrets.token_urlsafe(_BYTES)
    return Token(text, digest_of(text))


def digest_of(text: str) -> bytes:
    """SHA-256, of whatever somebody sent as a token."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
