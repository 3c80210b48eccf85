"""Billing accounts in the database."""

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.contracts.plans import PlanName
from libs.common.errors import NotFound
from services.billing.models import BillingAccount


class BillingAccountNotFound(NotFound):
    """Its books are not open: `account.created` has not come yet, or there is no such account."""

    code = "billing_account_not_found"

    def __init__(self) -> None:
        super().__init__("There are no books of this account yet. Try again in a moment.")


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """Of one account. See models/accounts.py."""

    account_id: str
    granted: PlanName
    plan: PlanName
    anchor_day: int
    version: int
    due_at: datetime | None
    is_closed: bool


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

    async def get(self, account_id: str) -> Books:
        """Open ones. Raises BillingAccountNotFound."""
        found = await self.find([account_id])
        if not found or found[0].is_closed:
            raise BillingAccountNotFound
        return found[0]

    async def find(self, account_ids: Collection[str]) -> list[Books]:
        """Those that there are, closed ones too, in order."""
        statement = (
            select(BillingAccount)
            .where(BillingAccount.account_id.in_(account_ids))
            .order_by(BillingAccount.account_id)
            .execution_options(populate_existing=True)
        )
        return [_books(row) for row in await self._tx.scalars(statement)]

    async def find_due(self, now: datetime, after: str, limit: int) -> list[str]:
        """Accounts whose plan changes by the clock, and the time has come; of greater ids."""
        statement = (
            select(BillingAccount.account_id)
            .where(
                BillingAccount.due_at <= now,
                BillingAccount.closed_at.is_(None),
                BillingAccount.account_id > after,
            )
            .order_by(BillingAccount.account_id)
            .limit(limit)
        )
        return list(await self._tx.scalars(statement))

    async def save(self, books: Books) -> None:
        """What is granted, what that and the subscriptions make, and when to look again."""
        await self._tx.execute(
            update(BillingAccount)
            .where(BillingAccount.account_id == books.account_id)
            .values(
                plan=books.granted,
                effective_plan=books.plan,
                anchor_day=books.anchor_day,
                plan_version=books.version,
                due_at=books.due_at,
            )
            .execution_options(synchronize_session=False)
        )

    async def close(self, account_id: str, *, at: datetime) -> None:
        """Once; books that are closed stay so since the first time."""
        await self._tx.execute(
            update(BillingAccount)
            .where(BillingAccount.account_id == account_id, BillingAccount.closed_at.is_(None))
            .values(closed_at=at)
            .execution_options(synchronize_session=False)
        )


def _books(row: BillingAccount) -> Books:
    return Books(
        account_id=row.account_id,
        granted=PlanName(row.plan),
        plan=PlanName(row.effective_plan),
        anchor_day=row.anchor_day,
        version=row.plan_version,
        due_at=row.due_at,
        is_closed=row.closed_at is not None,
    )
