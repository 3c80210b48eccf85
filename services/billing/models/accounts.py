"""The books of accounts."""

from datetime import datetime

from sqlalchemy import Index, Integer, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import ID, MOMENT, Base


class BillingAccount(Base):
    """The books of one account. `account_id` is all that makes a second telling harmless.

    `plan`: granted, whatever is bought. `effective_plan` and `anchor_day` (libs/common/periods.py)
    are what was last told, with `plan_version`, which grows with each change of either. `due_at`:
    when the plan changes by the clock alone. `closed_at`: when we heard that the account was
    deleted.
    """

    __tablename__ = "billing_accounts"
    __table_args__ = (
        Index(
            "ix_billing_accounts_closed_at",
            "closed_at",
            postgresql_where=text("closed_at IS NOT NULL"),
        ),
        Index(
            "ix_billing_accounts_due_at",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL AND closed_at IS NULL"),
        ),
    )

    account_id: Mapped[str] = mapped_column(ID, primary_key=True)
    plan: Mapped[str] = mapped_column(String(20))
    opened_at: Mapped[datetime] = mapped_column(MOMENT)
    closed_at: Mapped[datetime | None] = mapped_column(MOMENT)
    effective_plan: Mapped[str] = mapped_column(String(20))
    anchor_day: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    plan_version: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    due_at: Mapped[datetime | None] = mapped_column(MOMENT)
