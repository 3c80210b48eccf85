"""The tables of database `accounts`. Columns and constraints, no behaviour.

`migrations/` makes them; a test holds the two together.
"""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from libs.common.contracts.accounts import OnUnknownOutcome
from libs.common.database import new_metadata
from libs.common.outbox import OUTBOX
from services.accounts.domain.keys import Mode

ID = String(40)
NAME = String(100)
MOMENT = DateTime(timezone=True)


class Base(DeclarativeBase):
    """The tables that only accounts reads and writes."""

    metadata = new_metadata()


OUTBOX.to_metadata(Base.metadata)


class Account(Base):
    """A customer, with its own copy of what its plan allows."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint(
            "least(requests_per_minute, pending, requests_per_month, running, body_bytes,"
            " retention_seconds) > 0",
            name="limits_are_positive",
        ),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    plan: Mapped[str] = mapped_column(String(20))
    requests_per_minute: Mapped[int] = mapped_column(Integer)
    pending: Mapped[int] = mapped_column(Integer)
    requests_per_month: Mapped[int] = mapped_column(BigInteger)
    running: Mapped[int] = mapped_column(Integer)
    body_bytes: Mapped[int] = mapped_column(Integer)
    retention_seconds: Mapped[int] = mapped_column(Integer)
    is_suspended: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(MOMENT)


class Project(Base):
    """What keys, a provider connection and settings belong to. A null limit is the account's.

    `data_key_made_at`: null until it has its data key; where that is set and the key is not there,
    the key was destroyed, and none takes its place. `deleted_at`: it was erased.
    """

    __tablename__ = "projects"
    __table_args__ = (
        CheckConstraint(
            "least(requests_per_minute, running, retention_seconds) > 0",
            name="limits_are_positive",
        ),
        CheckConstraint("on_unknown_outcome IN ('retry', 'fail')", name="on_unknown_outcome"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID, ForeignKey(Account.id), index=True)
    name: Mapped[str] = mapped_column(NAME)
    requests_per_minute: Mapped[int | None] = mapped_column(Integer)
    running: Mapped[int | None] = mapped_column(Integer)
    retention_seconds: Mapped[int | None] = mapped_column(Integer)
    is_paused: Mapped[bool] = mapped_column(default=False)
    on_unknown_outcome: Mapped[OnUnknownOutcome] = mapped_column(String(10), default="retry")
    allowed_addresses: Mapped[list[str]] = mapped_column(ARRAY(String(50)), default=list)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    data_key_made_at: Mapped[datetime | None] = mapped_column(MOMENT)
    deleted_at: Mapped[datetime | None] = mapped_column(MOMENT)


class SealedDataKey(Base):
    """A project's data key, which opens only in the data plane.

    A table of its own, because it is dumped apart and its dumps are kept for seven days at most:
    who destroys the row destroys the content (decision 0009).
    """

    __tablename__ = "data_keys"

    project_id: Mapped[str] = mapped_column(ID, ForeignKey(Project.id), primary_key=True)
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(MOMENT)


class ApiKey(Base):
    """A key as its digest under the pepper named by `pepper_id`; the key itself is not kept."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("digest"),
        CheckConstraint("octet_length(digest) = 32", name="digest_length"),
        CheckConstraint("mode IN ('live', 'test')", name="mode"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    project_id: Mapped[str] = mapped_column(ID, ForeignKey(Project.id), index=True)
    name: Mapped[str] = mapped_column(NAME)
    mode: Mapped[Mode] = mapped_column(String(4))
    purpose: Mapped[str] = mapped_column(String(20))
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    pepper_id: Mapped[int] = mapped_column(SmallInteger)
    prefix: Mapped[str] = mapped_column(String(20))
    last_four: Mapped[str] = mapped_column(String(4))
    is_drop_in: Mapped[bool] = mapped_column(default=False)
    needs_signature: Mapped[bool] = mapped_column(default=False)
    sealed_signing_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime | None] = mapped_column(MOMENT)
    revoked_at: Mapped[datetime | None] = mapped_column(MOMENT)
    last_used_at: Mapped[datetime | None] = mapped_column(MOMENT)
    rotated_at: Mapped[datetime | None] = mapped_column(MOMENT)


class ProviderConnection(Base):
    """A project's provider. `sealed_key` opens only in an executor; `key_hint` is for people."""

    __tablename__ = "provider_connections"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    project_id: Mapped[str] = mapped_column(ID, ForeignKey(Project.id), unique=True)
    base_url: Mapped[str] = mapped_column(String(500))
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)
    key_hint: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    updated_at: Mapped[datetime] = mapped_column(MOMENT)


class AuditEvent(Base):
    """Who changed what, when. Refers to rows by id only: it outlives them."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_account_id_at", "account_id", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[str] = mapped_column(ID)
    project_id: Mapped[str | None] = mapped_column(ID)
    subject_id: Mapped[str] = mapped_column(ID)
    actor: Mapped[str] = mapped_column(ID)
    what: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(MOMENT)
