"""Paddle's things in the database: the newest state of each, whatever order events come in."""

import zlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Table, exists, func, or_, select, text, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.domain.entities import Kind, Thing
from services.billing.models import (
    Address,
    Adjustment,
    BillingAccount,
    Business,
    Customer,
    CustomerLink,
    Subscription,
    SubscriptionMove,
    Transaction,
)
from services.billing.models.base import Base

_KINDS: Final[dict[Kind, type[Base]]] = {
    Kind.CUSTOMER: Customer,
    Kind.ADDRESS: Address,
    Kind.BUSINESS: Business,
    Kind.SUBSCRIPTION: Subscription,
    Kind.TRANSACTION: Transaction,
    Kind.ADJUSTMENT: Adjustment,
}
_TABLES: Final[dict[Kind, Table]] = {
    kind: Base.metadata.tables[model.__tablename__] for kind, model in _KINDS.items()
}
_LINKS: Final = Base.metadata.tables["customer_links"]

_CUSTOMERS, _ACCOUNTS = 1, 2  # spaces of advisory locks: customers come before accounts
_LOCK: Final = text(
    "SELECT pg_advisory_xact_lock(:space, key) FROM unnest(CAST(:keys AS integer[])) AS t(key)"
)


class Moment(msgspec.Struct, frozen=True):
    """Which of two events about one thing is the later one."""

    occurred_at: datetime
    event_id: str


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it was the newest state. `old_state`, `old_account_id`: of the row before, if any."""

    is_newest: bool
    old_state: str | None = None
    old_account_id: str | None = None


class EntityRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def lock_customers(self, ids: Iterable[str]) -> None:
        """Until the transaction ends nobody else writes what is theirs. Before `lock_accounts`."""
        await self._lock(_CUSTOMERS, ids)

    async def lock_accounts(self, ids: Iterable[str]) -> None:
        """Until the transaction ends nobody else works out what these may do."""
        await self._lock(_ACCOUNTS, ids)

    async def _lock(self, space: int, ids: Iterable[str]) -> None:
        # In one order everywhere. Two names that share a number wait for each other, no more.
        keys = sorted({zlib.crc32(name.encode()) - 2**31 for name in ids})
        if keys:
            await self._tx.execute(_LOCK, {"space": space, "keys": keys})

    async def put(self, thing: Thing, at: Moment) -> Put:
        """Make it the thing's state, unless a later event did that already."""
        table = _TABLES[thing.kind]
        values = thing.values | {"occurred_at": at.occurred_at, "event_id": at.event_id}
        told = insert(table).values(id=thing.id, **values)
        statement = told.on_conflict_do_update(
            index_elements=[table.c.id],
            set_={name: told.excluded[name] for name in values},
            where=_moment(table.c) < _moment(told.excluded),
        ).returning(*self._before(table, thing.id))
        row = (await self._tx.execute(statement)).mappings().first()
        return Put(is_newest=True, **row) if row else Put(is_newest=False)

    def _before(self, table: Table, thing_id: str) -> list[ColumnElement[Any]]:
        """What a row held before: a subquery sees what was there when the statement began."""
        before = table.alias("before")
        names = {"state": "old_state", "named_account_id": "old_account_id"}
        return [
            select(before.c[name]).where(before.c.id == thing_id).scalar_subquery().label(label)
            for name, label in names.items()
            if name in table.c
        ]

    async def note_move(self, subscription_id: str, state: str, at: Moment) -> None:
        """Remember in which state it was then; harmless again."""
        await self._tx.execute(
            insert(SubscriptionMove)
            .values(
                subscription_id=subscription_id,
                state=state,
                occurred_at=at.occurred_at,
                event_id=at.event_id,
            )
            .on_conflict_do_nothing()
        )

    async def note_payment_failure(self, transaction_id: str, at: datetime) -> None:
        """Remember when a payment failed first."""
        first = func.least(func.coalesce(Transaction.payment_failed_at, at), at)
        await self._tx.execute(
            update(Transaction)
            .where(Transaction.id == transaction_id)
            .values(payment_failed_at=first)
            .execution_options(synchronize_session=False)
        )

    async def link(self, customer_id: str, account_id: str, at: Moment) -> str | None:
        """Whose customer it is, unless an earlier event says otherwise; whose it was before."""
        told = insert(_LINKS).values(
            customer_id=customer_id,
            account_id=account_id,
            occurred_at=at.occurred_at,
            event_id=at.event_id,
        )
        before = _LINKS.alias("before")
        statement = told.on_conflict_do_update(
            index_elements=[_LINKS.c.customer_id],
            set_={name: told.excluded[name] for name in ("account_id", "occurred_at", "event_id")},
            where=_moment(told.excluded) < _moment(_LINKS.c),
        ).returning(
            select(before.c.account_id).where(before.c.customer_id == customer_id).scalar_subquery()
        )
        found: str | None = await self._tx.scalar(statement)
        return found

    async def accounts_of(self, customer_ids: Collection[str]) -> dict[str, str]:
        """By customer, of those whose account is known."""
        statement = select(CustomerLink.customer_id, CustomerLink.account_id).where(
            CustomerLink.customer_id.in_(customer_ids)
        )
        return dict((await self._tx.execute(statement)).all())

    async def customers_of(self, account_id: str, *, is_proven: bool = True) -> list[str]:
        """All that pay for this account and for no other living one, in order.

        `is_proven`: without those who only began to; see `_is_proof` of the use case.
        """
        linked = select(CustomerLink.customer_id).where(CustomerLink.account_id == account_id)
        is_paid = Transaction.billed_at.is_not(None) if is_proven else true()
        named = [
            select(model.customer_id).where(
                model.named_account_id == account_id, model.customer_id.is_not(None), is_proof
            )
            for model, is_proof in ((Subscription, true()), (Transaction, is_paid))
        ]
        every = linked.union(*named).subquery()
        statement = select(every.c.customer_id).where(~_is_others(every.c.customer_id, account_id))
        return sorted((await self._tx.scalars(statement)).all())

    async def strip(self, customer_ids: Sequence[str]) -> None:
        """Names, addresses of e-mail, tax ids and post codes go; countries stay, with invoices."""
        for statement in (
            update(Customer).where(Customer.id.in_(customer_ids)).values(email=None),
            update(Address).where(Address.customer_id.in_(customer_ids)).values(postal_code=None),
            update(Business)
            .where(Business.customer_id.in_(customer_ids))
            .values(name=None, tax_id=None),
        ):
            await self._tx.execute(statement.execution_options(synchronize_session=False))

    async def drop_strangers(self, before: datetime, limit: int) -> int:
        """Remove customers that are of no account, last told of before; how many."""
        dropping = select(func.drop_strangers_v1(before, limit))
        dropped: int = (await self._tx.scalars(dropping)).one()
        return dropped


def _moment(columns: Any) -> Any:
    return tuple_(columns.occurred_at, columns.event_id)


def _is_others(customer_id: ColumnElement[Any], account_id: str) -> ColumnElement[bool]:
    """Whether an account that lives, and is not this one, pays as that customer too, or first."""
    owners = (
        (Subscription.customer_id, Subscription.named_account_id),
        (CustomerLink.customer_id, CustomerLink.account_id),
    )
    return or_(
        *(
            exists().where(
                customer == customer_id,
                owner != account_id,
                BillingAccount.account_id == owner,
                BillingAccount.closed_at.is_(None),
            )
            for customer, owner in owners
        )
    )
