"""What an export holds of each table: columns by name, so that no secret gets in by itself.

What is left out on purpose stands in LEFT_OUT; a test fails on a column that is in neither.
"""

from datetime import datetime
from typing import Final

import msgspec

from libs.common.contracts.executor import TokenUsage
from libs.common.contracts.gateway import AttemptRow, RequestRow


class AccountRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The account and its limits."""

    id: str
    name: str
    plan: str
    requests_per_minute: int
    pending: int
    requests_per_month: int
    running: int
    body_bytes: int
    retention_seconds: int
    is_suspended: bool
    suspension_reason: str | None
    metadata_seconds: int
    is_restricted: bool
    leaves_at: datetime | None
    anchor_day: int
    payment_due_at: datetime | None
    created_at: datetime


class PersonRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who logs in."""

    id: str
    email: str
    name: str
    company: str | None
    country: str
    terms_version: str
    terms_accepted_at: datetime
    told_version: str | None
    wants_notices: bool
    verified_at: datetime | None
    created_at: datetime


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that was logged in."""

    id: str
    network: str
    agent: str
    created_at: datetime
    seen_at: datetime
    ended_at: datetime | None


class ProjectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A project and its settings."""

    id: str
    name: str
    requests_per_minute: int | None
    running: int | None
    retention_seconds: int | None
    metadata_seconds: int | None
    is_paused: bool
    on_unknown_outcome: str
    allowed_addresses: list[str]
    created_at: datetime
    deleted_at: datetime | None


class ApiKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, without the key."""

    id: str
    project_id: str
    name: str
    mode: str
    purpose: str
    prefix: str
    last_four: str
    is_drop_in: bool
    needs_signature: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    rotated_at: datetime | None


class ConnectionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A provider connection, without its key."""

    id: str
    project_id: str
    base_url: str
    key_hint: str
    created_at: datetime
    updated_at: datetime


class MailRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that was sent, without its text: that may hold a link which opens something."""

    kind: str
    recipient: str
    created_at: datetime
    sent_at: datetime | None
    failed_at: datetime | None


class NoticeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a mail told once."""

    name: str
    told_at: datetime


class EntryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One text of a support message."""

    author: str
    text: str
    at: datetime


class SupportRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A support message with all that was written."""

    id: str
    kind: str
    subject: str
    state: str
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    entries: list[EntryRecord]


class ContentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Bodies, as JSON where they are JSON. `gone`: why they are not there any more."""

    request: msgspec.Raw
    result: msgspec.Raw
    errors: dict[int, msgspec.Raw]
    gone: str | None


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A request with its attempts. `content`: None where it could not be opened any more."""

    request: RequestRow
    attempts: tuple[AttemptRow, ...]
    tokens: TokenUsage | None
    content: ContentRecord | None


LEFT_OUT: Final[dict[str, frozenset[str]]] = {
    "accounts": frozenset({"erasing_at", "erased_at", "plan_version"}),
    "people": frozenset({"account_id", "email_key", "password_hash"}),
    "sessions": frozenset({"digest", "person_id"}),
    "projects": frozenset({"account_id", "data_key_made_at"}),
    "api_keys": frozenset({"digest", "pepper_id", "sealed_signing_secret"}),
    "provider_connections": frozenset({"sealed_key"}),
    "mails": frozenset({"id", "account_id", "subject", "text", "html", "tries", "due_at"}),
    "notices": frozenset({"account_id"}),
    "support_messages": frozenset({"account_id", "person_id"}),
    "support_entries": frozenset({"id", "message_id"}),
    "audit_events": frozenset({"id", "account_id"}),
}
"""By table: what is secret, or only means something to us."""


def embedded(body: bytes | None) -> msgspec.Raw:
    """A body within a JSON document: as it is where it is JSON, else as a text."""
    if body is None:
        return msgspec.Raw(b"null")
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode(body.decode("utf-8", "replace")))
    return msgspec.Raw(body)
