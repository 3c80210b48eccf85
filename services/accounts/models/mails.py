"""Mails on their way, and what was told by one."""

from datetime import datetime
from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Index,
    Integer,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.accounts.models.base import EMAIL, ID, MOMENT, Base

WAITING: Final = "sent_at IS NULL AND failed_at IS NULL"


class Mail(Base):
    """A mail to be sent, rendered. It may hold a link that logs in: gone soon after it is sent.

    `due_at`: when to send it next; while a worker has it in hand, when others may take it over.
    `failed_at`: it was given up. One of the two ends it.
    """

    __tablename__ = "mails"
    __table_args__ = (
        CheckConstraint("sent_at IS NULL OR failed_at IS NULL", name="one_end"),
        Index("ix_mails_due_at", "due_at", postgresql_where=text(WAITING)),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str | None] = mapped_column(ID, index=True)
    kind: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str] = mapped_column(EMAIL)
    subject: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    due_at: Mapped[datetime] = mapped_column(MOMENT)
    sent_at: Mapped[datetime | None] = mapped_column(MOMENT)
    failed_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Notice(Base):
    """Somebody was told of something that is told once. `name`: of what, without a person in it.

    The mail itself is gone a day after it was sent; an event that comes again later finds this.
    """

    __tablename__ = "notices"

    account_id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    told_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
