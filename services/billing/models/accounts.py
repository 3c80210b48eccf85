"""The books of accounts."""

from datetime import datetime

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import ID, MOMENT, Base


class BillingAccount(Base):
    """The books of one account. `account_id` is all that makes a second telling harmless.

    `closed_at`: when we heard that the account was deleted.
    """

    __tablename__ = "billing_accounts"
    __table_args__ = (
        Index(
            "ix_billing_accounts_closed_at",
            "closed_at",
            postgresql_where=text("closed_at IS NOT NULL"),
        ),
    )

    account_id: Mapped[str] = mapped_column(ID, primary_key=True)
    plan: Mapped[str] = mapped_column(String(20))
    opened_at: Mapped[datetime] = mapped_column(MOMENT)
    closed_at: Mapped[datetime | None] = mapped_column(MOMENT)
