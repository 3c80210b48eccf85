"""Accounts, their projects, and what was done to them."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.contracts.accounts import OnUnknownOutcome
from services.accounts.models.base import ID, MOMENT, NAME, Base


class Account(Base):
    """A customer, with its own copy of what its plan allows.

    `metadata_seconds`: how long records of requests are kept. `is_restricted`: nothing of it runs.
    `leaves_at`: when its deletion is due; null: it stays. `erasing_at`: since when that cannot be
    undone any more. `erased_at`: nobody's any more; the row stays, so that nothing takes its id.
    `plan_version`: billing's, of what stands here. `anchor_day`: see libs/common/periods.py.
    `payment_due_at`: a payment failed, and until then the plan stays; null: nothing is owed.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint(
            "least(requests_per_minute, pending, requests_per_month, running, body_bytes,"
            " retention_seconds) > 0",
            name="limits_are_positive",
        ),
        CheckConstraint("metadata_seconds > 0", name="metadata_is_positive"),
        CheckConstraint("anchor_day BETWEEN 1 AND 31", name="anchor_day_is_a_day"),
        Index(
            "ix_accounts_leaves_at",
            "leaves_at",
            postgresql_where=text("leaves_at IS NOT NULL AND erased_at IS NULL"),
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
    suspension_reason: Mapped[str | None] = mapped_column(String(200))
    metadata_seconds: Mapped[int] = mapped_column(Integer)
    is_restricted: Mapped[bool] = mapped_column(default=False)
    leaves_at: Mapped[datetime | None] = mapped_column(MOMENT)
    erasing_at: Mapped[datetime | None] = mapped_column(MOMENT)
    erased_at: Mapped[datetime | None] = mapped_column(MOMENT)
    plan_version: Mapped[int] = mapped_column(Integer, default=0)
    anchor_day: Mapped[int] = mapped_column(SmallInteger, default=1)
    payment_due_at: Mapped[datetime | None] = mapped_column(MOMENT)
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
        CheckConstraint("metadata_seconds > 0", name="metadata_is_positive"),
        CheckConstraint("on_unknown_outcome IN ('retry', 'fail')", name="on_unknown_outcome"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID, ForeignKey(Account.id), index=True)
    name: Mapped[str] = mapped_column(NAME)
    requests_per_minute: Mapped[int | None] = mapped_column(Integer)
    running: Mapped[int | None] = mapped_column(Integer)
    retention_seconds: Mapped[int | None] = mapped_column(Integer)
    metadata_seconds: Mapped[int | None] = mapped_column(Integer)
    is_paused: Mapped[bool] = mapped_column(default=False)
    on_unknown_outcome: Mapped[OnUnknownOutcome] = mapped_column(String(10), default="retry")
    allowed_addresses: Mapped[list[str]] = mapped_column(ARRAY(String(50)), default=list)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    data_key_made_at: Mapped[datetime | None] = mapped_column(MOMENT)
    deleted_at: Mapped[datetime | None] = mapped_column(MOMENT)


class AuditEvent(Base):
    """Who changed what, from where, when. Refers to rows by id only: it outlives them.

    `network`: truncated; null for the operator and for what happens by itself. `detail`: what the
    thing became, or why, in one line; never a secret, nor what a person typed.
    """

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_account_id_at", "account_id", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[str] = mapped_column(ID)
    project_id: Mapped[str | None] = mapped_column(ID)
    subject_id: Mapped[str] = mapped_column(ID)
    actor: Mapped[str] = mapped_column(ID)
    network: Mapped[str | None] = mapped_column(String(50))
    what: Mapped[str] = mapped_column(String(60))
    detail: Mapped[str | None] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(MOMENT, index=True)
