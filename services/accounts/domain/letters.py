"""What is written to people, and from what it is made."""

from enum import StrEnum
from typing import Protocol

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
    DELETION_STARTED = "deletion_started"
    DELETION_UNDONE = "deletion_undone"
    DELETED = "deleted"
    POLICY_CHANGED = "policy_changed"
    SUPPORT_RECEIVED = "support_received"
    SUPPORT_NEW = "support_new"
    SUPPORT_REPLY = "support_reply"


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
