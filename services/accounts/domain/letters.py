"""What is written to people, from what it is made, and how long we try to hand it over."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

import msgspec


class LetterKind(StrEnum):
    """One template in HTML and one in plain text each."""

    VERIFY = "verify"
    ADDRESS_KNOWN = "address_known"
    WELCOME = "welcome"
    RESET = "reset"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # no password
    NEW_SIGN_IN = "new_sign_in"
    CHANGE_EMAIL = "change_email"
    EMAIL_CHANGED = "email_changed"
    EMAIL_RESTORED = "email_restored"
    KEY_CREATED = "key_created"
    USAGE_NOTICE = "usage_notice"
    PAYMENT_FAILED = "payment_failed"
    SUBSCRIPTION_ENDED = "subscription_ended"
    DELETION_STARTED = "deletion_started"
    DELETION_UNDONE = "deletion_undone"
    DELETED = "deleted"
    POLICY_CHANGED = "policy_changed"
    SUPPORT_RECEIVED = "support_received"
    SUPPORT_NEW = "support_new"
    SUPPORT_REPLY = "support_reply"


TO_UNPROVEN: Final = frozenset(
    {
        LetterKind.VERIFY,
        LetterKind.ADDRESS_KNOWN,
        LetterKind.RESET,
        LetterKind.SUPPORT_REPLY,
        LetterKind.POLICY_CHANGED,
    }
)
"""All that an address gets before it is proven to be theirs who signed up with it: nobody can make
us write what they like to a stranger. How often is bounded (throttles), or the operator decides."""


class Letter(msgspec.Struct, frozen=True):
    """A mail without its address."""

    subject: str
    text: str
    html: str


class WriteLetter(Protocol):
    """Renders. `values`: what the templates of this kind name; escaped where it is HTML."""

    def __call__(self, kind: LetterKind, **values: str) -> Letter:
        """The letter."""
        ...


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A letter on its way. `id`: the same each time it is sent, and so is its Message-ID."""

    id: str
    recipient: str
    letter: Letter
    written_at: datetime


KEEP_TRYING: Final = timedelta(days=3)
_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=1)
_MOST_DOUBLINGS: Final = 6


def next_try(tries: int, written_at: datetime, now: datetime) -> datetime | None:
    """When to send it again that was sent `tries` times in vain; None: never."""
    if now - written_at >= KEEP_TRYING:
        return None
    doubled: int = 1 << min(tries - 1, _MOST_DOUBLINGS)
    return now + min(_FIRST_PAUSE * doubled, _LONGEST_PAUSE)
