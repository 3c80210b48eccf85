"""What accounts have bought, and which of their payments failed."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, false, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.contracts.plans import PlanName
from services.billing.domain.invoices import UNPAID
from services.billing.domain.subscriptions import Bought, Move, best_plan, past_due_at
from services.billing.models import (
    BillingAccount,
    CustomerLink,
    Subscription,
    SubscriptionMove,
    Transaction,
)


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as its row has it, and whose it is. `past_due_at`: since when, if it is."""

    account_id: str
    id: str
    customer_id: str | None
    address_id: str | None
    business_id: str | None
    state: str
    occurred_at: datetime
    price_ids: list[str]
    price: int | None
    currency: str
    started_at: datetime | None
    pays_until: datetime | None
    change: str | None
    changes_at: datetime | None
    canceled_at: datetime | None
    ended_told_at: datetime | None
    past_due_at: datetime | None = None

    def as_bought(self, prices: Mapping[str, PlanName]) -> Bought:
        """For the rules. `prices`: which plan each buys."""
        return Bought(
            id=self.id,
            state=self.state,
            plan=best_plan(prices.get(price_id) for price_id in self.price_ids),
            started_at=self.started_at,
            past_due_at=self.past_due_at,
            change=self.change,
            changes_at=self.changes_at,
            canceled_at=self.canceled_at,
        )


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that failed and nobody was told of; `amount` is still to be paid.

    `is_named`: the payment itself names the account.
    """

    account_id: str
    is_named: bool
    id: str
    subscription_id: str
    amount: int
    currency: str
    failed_at: datetime


class SubscriptionRepository:
    """Within one transaction.

    `prices`: those that buy a plan here. A customer of Paddle's is one for all that the seller
    sells: a subscription that names no account and has none of these is to something else.
    """

    def __init__(self, tx: AsyncSession, prices: Collection[str]) -> None:
        """Work in `tx`."""
        self._tx = tx
        self._is_unnamed = Subscription.named_account_id.is_(None) & Subscription.price_ids.overlap(
            list(prices)
        )

    async def of_accounts(self, account_ids: Collection[str]) -> list[Owned]:
        """All that these ever bought, in order of their ids."""
        found = [
            row
            for statement in self._owned(account_ids)
            for row in (await self._tx.execute(statement)).mappings()
        ]
        unpaid = [row["id"] for row in found if row["state"] == "past_due"]
        since = await self._past_due(unpaid) if unpaid else {}
        owned = [Owned(**row, past_due_at=since.get(row["id"])) for row in found]
        return sorted(owned, key=lambda one: one.id)

    async def _past_due(self, ids: Sequence[str]) -> dict[str, datetime | None]:
        moves = SubscriptionMove
        statement = (
            select(moves.subscription_id, moves.state, moves.occurred_at)
            .where(moves.subscription_id.in_(ids))
            .order_by(moves.subscription_id, moves.occurred_at, moves.event_id)
        )
        by_id: dict[str, list[Move]] = defaultdict(list)
        for subscription_id, state, occurred_at in await self._tx.execute(statement):
            by_id[subscription_id].append(Move(state, occurred_at))
        return {subscription_id: past_due_at(run) for subscription_id, run in by_id.items()}

    async def note_told_end(self, subscription_id: str, at: datetime) -> None:
        """It was told that it ended."""
        await self._set(Subscription, subscription_id, {"ended_told_at": at})

    async def untold_failures(self, account_ids: Collection[str]) -> list[Failure]:
        """Of subscriptions' payments that are still to be made, in order of their ids."""
        named = Transaction.named_account_id
        columns: tuple[Any, ...] = (
            Transaction.id,
            Transaction.subscription_id,
            Transaction.charged.label("amount"),
            Transaction.currency,
            Transaction.payment_failed_at.label("failed_at"),
        )
        where = (
            Transaction.payment_failed_at.is_not(None),
            Transaction.failure_told_at.is_(None),
            Transaction.subscription_id.is_not(None),
            Transaction.state.in_(UNPAID),
        )
        linked = Transaction.customer_id == CustomerLink.customer_id
        statements: list[Select[Any]] = [
            select(*columns, named.label("account_id"), true().label("is_named")).where(
                *where, named.in_(account_ids)
            ),
            select(*columns, CustomerLink.account_id, false().label("is_named"))
            .join(CustomerLink, linked)
            .where(*where, named.is_(None), CustomerLink.account_id.in_(account_ids)),
        ]
        found = [
            Failure(**row)
            for statement in statements
            for row in (await self._tx.execute(statement)).mappings()
        ]
        return sorted(found, key=lambda failure: failure.id)

    async def note_told_failure(self, transaction_id: str, at: datetime) -> None:
        """It was told that its payment failed."""
        await self._set(Transaction, transaction_id, {"failure_told_at": at})

    async def of_closed(self, asked_before: datetime, limit: int) -> Sequence[str]:
        """Living ones of accounts that are gone, which Paddle was not asked to end since then."""
        linked = Subscription.customer_id == CustomerLink.customer_id
        owner = func.coalesce(Subscription.named_account_id, CustomerLink.account_id)
        statement = (
            select(Subscription.id)
            .join(CustomerLink, linked, isouter=True)
            .join(BillingAccount, BillingAccount.account_id == owner)
            .where(BillingAccount.closed_at.is_not(None), Subscription.state != "canceled")
            .where(or_(Subscription.named_account_id.is_not(None), self._is_unnamed))
            .where(func.coalesce(Subscription.cancel_asked_at, asked_before) <= asked_before)
            .order_by(Subscription.id)
            .limit(limit)
        )
        return (await self._tx.scalars(statement)).all()

    async def note_asked_end(self, subscription_id: str, at: datetime) -> None:
        """Paddle was asked to end it."""
        await self._set(Subscription, subscription_id, {"cancel_asked_at": at})

    def _owned(self, account_ids: Collection[str]) -> tuple[Select[Any], Select[Any]]:
        """By the account that they name, and by their customer where they name none."""
        rest = {"account_id", "past_due_at"}
        names = [name for name in Owned.__struct_fields__ if name not in rest]
        columns = [getattr(Subscription, name) for name in names]
        named = Subscription.named_account_id
        linked = Subscription.customer_id == CustomerLink.customer_id
        return (
            select(*columns, named.label("account_id")).where(named.in_(account_ids)),
            select(*columns, CustomerLink.account_id)
            .join(CustomerLink, linked)
            .where(self._is_unnamed, CustomerLink.account_id.in_(account_ids)),
        )

    async def _set(
        self, model: type[Subscription | Transaction], row_id: str, values: dict[str, Any]
    ) -> None:
        await self._tx.execute(
            update(model)
            .where(model.id == row_id)
            .values(values)
            .execution_options(synchronize_session=False)
        )
