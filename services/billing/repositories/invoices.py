"""Invoices and what was given back on them; to whom they are written."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.contracts.billing import InvoiceAnswer, InvoiceLine, TaxDetails
from services.billing.domain.invoices import INVOICES, Adjusted, credited, has_pdf
from services.billing.models import (
    Address,
    Adjustment,
    Business,
    Customer,
    CustomerLink,
    Transaction,
)


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """Paddle's ids of whom invoices are written to; None where that is not known."""

    customer_id: str | None = None
    address_id: str | None = None
    business_id: str | None = None


class InvoiceRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def recent(self, account_id: str, limit: int) -> list[InvoiceAnswer]:
        """The newest ones, at most `limit`."""
        rows = [
            row
            for statement in _invoices(account_id)
            for row in await self._tx.scalars(
                statement.order_by(Transaction.billed_at.desc()).limit(limit)
            )
        ]
        rows.sort(key=lambda row: (row.billed_at, row.id), reverse=True)
        given_back = await self._adjustments([row.id for row in rows[:limit]])
        return [_answer(row, given_back[row.id]) for row in rows[:limit]]

    async def _adjustments(self, ids: Sequence[str]) -> dict[str, list[Adjusted]]:
        by_id: dict[str, list[Adjusted]] = defaultdict(list)
        columns = (Adjustment.action, Adjustment.state, Adjustment.total)
        statement = select(Adjustment.transaction_id, *columns).where(
            Adjustment.transaction_id.in_(ids)
        )
        for transaction_id, action, state, total in await self._tx.execute(statement):
            by_id[transaction_id].append(Adjusted(action, state, total))
        return by_id

    async def find_payer(self, account_id: str) -> Payer:
        """Of an account that bought nothing (yet): the customer that was last linked to it."""
        statement = (
            select(CustomerLink.customer_id)
            .where(CustomerLink.account_id == account_id)
            .order_by(CustomerLink.occurred_at.desc(), CustomerLink.event_id.desc())
            .limit(1)
        )
        return await self.complete(Payer(customer_id=await self._tx.scalar(statement)))

    async def complete(self, payer: Payer) -> Payer:
        """With the customer's newest address and business where none was named."""
        return Payer(
            customer_id=payer.customer_id,
            address_id=payer.address_id or await self._newest(Address, payer.customer_id),
            business_id=payer.business_id or await self._newest(Business, payer.customer_id),
        )

    async def _newest(self, model: type[Address | Business], customer_id: str | None) -> str | None:
        statement = (
            select(model.id)
            .where(model.customer_id == customer_id, model.state == "active")
            .order_by(model.occurred_at.desc(), model.event_id.desc())
            .limit(1)
        )
        found: str | None = await self._tx.scalar(statement)
        return found

    async def details(self, payer: Payer) -> TaxDetails:
        """What is known of them."""
        customer = await self._tx.get(Customer, payer.customer_id) if payer.customer_id else None
        address = await self._tx.get(Address, payer.address_id) if payer.address_id else None
        business = await self._tx.get(Business, payer.business_id) if payer.business_id else None
        return TaxDetails(
            email=customer.email if customer else None,
            business_name=business.name if business else None,
            tax_id=business.tax_id if business else None,
            country=address.country if address else None,
            postal_code=address.postal_code if address else None,
        )

    async def drop_old(self, before: datetime, unbilled_before: datetime, limit: int) -> int:
        """Remove at most `limit` sales: billed before, or begun before and never billed; how many.

        What is older than the law wants goes with them: adjustments, subscriptions that ended.
        """
        dropping = select(func.drop_old_payments_v1(before, unbilled_before, limit))
        dropped: int = (await self._tx.scalars(dropping)).one()
        return dropped


def _invoices(account_id: str) -> tuple[Select[Any], Select[Any]]:
    """By the account that they name, and by their customer where they name none."""
    billed = select(Transaction).where(
        Transaction.billed_at.is_not(None), Transaction.state.in_(INVOICES)
    )
    named = Transaction.named_account_id
    linked = Transaction.customer_id == CustomerLink.customer_id
    return (
        billed.where(named == account_id),
        billed.join(CustomerLink, linked).where(
            named.is_(None), CustomerLink.account_id == account_id
        ),
    )


def _answer(row: Any, given_back: Sequence[Adjusted]) -> InvoiceAnswer:
    return InvoiceAnswer(
        id=row.id,
        number=row.invoice_number,
        billed_at=row.billed_at,
        state=row.state,
        currency=row.currency,
        subtotal=row.subtotal,
        tax=row.tax,
        total=row.total,
        credited=credited(given_back),
        lines=tuple(InvoiceLine(**line) for line in row.lines),
        has_pdf=has_pdf(row.state, row.invoice_number),
    )
