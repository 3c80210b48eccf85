"""What the operator's command line shows of each thing. No digest, no sealed value."""

from datetime import datetime

import msgspec

from libs.common.contracts.billing import BillingAnswer
from services.accounts.models import (
    AbuseSignal,
    Account,
    ApiKey,
    AuditEvent,
    Person,
    Project,
    ProviderConnection,
    SupportEntry,
    SupportMessage,
)
from services.accounts.use_cases.accounts import AccountOverview, ProjectOverview
from services.accounts.use_cases.keys import IssuedKey
from services.accounts.use_cases.support import Thread


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account, how it stands, and its limits. `leaves_at`: when its deletion is due."""

    id: str
    name: str
    plan: str
    plan_version: int
    anchor_day: int
    is_suspended: bool
    suspension_reason: str | None
    is_restricted: bool
    leaves_at: datetime | None
    erased_at: datetime | None
    requests_per_minute: int
    pending: int
    requests_per_month: int
    running: int
    body_bytes: int
    retention_seconds: int
    metadata_seconds: int
    created_at: datetime

    @classmethod
    def of(cls, row: Account) -> "AccountView":
        """From its row."""
        return msgspec.convert(row, cls, from_attributes=True)


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """Who logs in to an account. `verified_at`: None until the address is known to be theirs."""

    id: str
    account_id: str
    email: str
    name: str
    company: str | None
    country: str
    verified_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: Person) -> "PersonView":
        """From its row."""
        return msgspec.convert(row, cls, from_attributes=True)


class ProjectView(msgspec.Struct, frozen=True, kw_only=True):
    """A project; null limits are its account's."""

    id: str
    account_id: str
    name: str
    requests_per_minute: int | None
    running: int | None
    retention_seconds: int | None
    metadata_seconds: int | None
    is_paused: bool
    on_unknown_outcome: str
    created_at: datetime
    deleted_at: datetime | None

    @classmethod
    def of(cls, row: Project) -> "ProjectView":
        """From its row."""
        return msgspec.convert(row, cls, from_attributes=True)


class ApiKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without the key."""

    id: str
    name: str
    mode: str
    purpose: str
    shown_as: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: ApiKey) -> "ApiKeyView":
        """From its row."""
        return cls(
            id=row.id,
            name=row.name,
            mode=row.mode,
            purpose=row.purpose,
            shown_as=f"{row.prefix}…{row.last_four}",
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )


class IssuedKeyView(msgspec.Struct, frozen=True):
    """A new key, the only time it is shown. `signing_secret`: of a key for signed requests."""

    id: str
    key: str
    signing_secret: str | None

    @classmethod
    def of(cls, issued: IssuedKey) -> "IssuedKeyView":
        """From the use case's answer."""
        return cls(issued.id, issued.text, issued.signing_secret)


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A provider connection, without its key."""

    id: str
    project_id: str
    base_url: str
    key_hint: str
    updated_at: datetime

    @classmethod
    def of(cls, row: ProviderConnection) -> "ConnectionView":
        """From its row."""
        return msgspec.convert(row, cls, from_attributes=True)


class AuditEventView(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which thing, from where."""

    at: datetime
    actor: str
    network: str | None
    what: str
    detail: str | None
    subject_id: str
    project_id: str | None

    @classmethod
    def of(cls, row: AuditEvent) -> "AuditEventView":
        """From its row."""
        return msgspec.convert(row, cls, from_attributes=True)


class ProjectOverviewView(msgspec.Struct, frozen=True):
    """A project with what hangs on it."""

    project: ProjectView
    connection: ConnectionView | None
    keys: list[ApiKeyView]

    @classmethod
    def of(cls, seen: ProjectOverview) -> "ProjectOverviewView":
        """From the use case's answer."""
        return cls(
            ProjectView.of(seen.project),
            None if seen.connection is None else ConnectionView.of(seen.connection),
            [ApiKeyView.of(key) for key in seen.keys],
        )


class AccountOverviewView(msgspec.Struct, frozen=True):
    """An account with everything in it, and its newest audit events."""

    account: AccountView
    person: PersonView | None
    projects: list[ProjectOverviewView]
    events: list[AuditEventView]

    @classmethod
    def of(cls, seen: AccountOverview) -> "AccountOverviewView":
        """From the use case's answer."""
        return cls(
            AccountView.of(seen.account),
            None if seen.person is None else PersonView.of(seen.person),
            [ProjectOverviewView.of(project) for project in seen.projects],
            [AuditEventView.of(event) for event in seen.events],
        )


class SupportMessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A support message without its texts."""

    id: str
    account_id: str
    kind: str
    subject: str
    state: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: SupportMessage) -> "SupportMessageView":
        """From its row."""
        return msgspec.convert(row, cls, from_attributes=True)


class SupportEntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One text of it."""

    at: datetime
    author: str
    text: str

    @classmethod
    def of(cls, row: SupportEntry) -> "SupportEntryView":
        """From its row."""
        return msgspec.convert(row, cls, from_attributes=True)


class ThreadView(msgspec.Struct, frozen=True):
    """A support message with all that was written, the oldest first."""

    message: SupportMessageView
    entries: list[SupportEntryView]

    @classmethod
    def of(cls, thread: Thread) -> "ThreadView":
        """From the use case's answer."""
        return cls(
            SupportMessageView.of(thread.message),
            [SupportEntryView.of(entry) for entry in thread.entries],
        )


class GrantView(msgspec.Struct, frozen=True, kw_only=True):
    """What billing says after a grant. `plan`: what holds, the larger of granted and bought."""

    account_id: str
    plan: str
    subscription: str | None
    used: int
    allowed: int
    resets_on: str

    @classmethod
    def of(cls, answer: BillingAnswer) -> "GrantView":
        """From billing's answer."""
        bought = answer.subscription
        return cls(
            account_id=answer.account_id,
            plan=answer.plan,
            subscription=None if bought is None else f"{bought.plan}, {bought.state}",
            used=answer.usage.finished,
            allowed=answer.usage.allowed,
            resets_on=answer.usage.resets_on.isoformat(),
        )


class AnnouncementView(msgspec.Struct, frozen=True):
    """How many mails were queued."""

    version: str
    mails: int


class AbuseSignalView(msgspec.Struct, frozen=True, kw_only=True):
    """How often something happened from one network, within an hour."""

    started_at: datetime
    what: str
    network: str
    count: int

    @classmethod
    def of(cls, row: AbuseSignal) -> "AbuseSignalView":
        """From its row."""
        return msgspec.convert(row, cls, from_attributes=True)
