"""What customers write to the operator, and what they are answered."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.accounts.domain.support import Author, Kind, State
from services.accounts.models.accounts import Account
from services.accounts.models.base import ID, MOMENT, Base


class SupportMessage(Base):
    """A thread. `person_id`: who began it; by id only, it may outlive them.

    `updated_at`: when its newest entry was written, or it was closed.
    """

    __tablename__ = "support_messages"
    __table_args__ = (
        CheckConstraint("kind IN ('question', 'privacy', 'bug')", name="kind"),
        CheckConstraint("state IN ('open', 'answered', 'closed')", name="state"),
        CheckConstraint("(closed_at IS NOT NULL) = (state = 'closed')", name="has_end"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID, ForeignKey(Account.id), index=True)
    person_id: Mapped[str] = mapped_column(ID)
    kind: Mapped[Kind] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(150))
    state: Mapped[State] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    updated_at: Mapped[datetime] = mapped_column(MOMENT)
    closed_at: Mapped[datetime | None] = mapped_column(MOMENT, index=True)


class SupportEntry(Base):
    """One text of a thread. It goes with its thread."""

    __tablename__ = "support_entries"
    __table_args__ = (CheckConstraint("author IN ('customer', 'operator')", name="author"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    message_id: Mapped[str] = mapped_column(
        ID, ForeignKey(SupportMessage.id, ondelete="CASCADE"), index=True
    )
    author: Mapped[Author] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(MOMENT)
