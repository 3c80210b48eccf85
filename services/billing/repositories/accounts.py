"""Billing accounts in the database."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.models import BillingAccount


class BillingAccountRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def add_once(self, account_id: str, plan: str, *, opened_at: datetime) -> bool:
        """False when the books are open already; they stay as they are."""
        statement = (
            insert(BillingAccount)
            .values(account_id=account_id, plan=plan, effective_plan=plan, opened_at=opened_at)
            .on_conflict_do_nothing()
            .returning(BillingAccount.account_id)
        )
        return await self._tx.scalar(statement) is not None

    async def close(self, account_id: str, *, at: datetime) -> None:
        """Once; books that are closed stay so since the first time."""
        await self._tx.execute(
            update(BillingAccount)
            .where(BillingAccount.account_id == account_id, BillingAccount.closed_at.is_(None))
            .values(closed_at=at)
            .execution_options(synchronize_session=False)
        )
