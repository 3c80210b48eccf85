"""Whose an invoice is, and whether a customer of Paddle's is somebody else's."""

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.domain.invoices import has_pdf
from services.billing.models import BillingAccount, CustomerLink, Transaction


class BuyingRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def has_pdf(self, account_id: str, transaction_id: str) -> bool:
        """Whether it is an invoice of this account's with a document."""
        named = Transaction.named_account_id
        linked = exists().where(
            CustomerLink.customer_id == Transaction.customer_id,
            CustomerLink.account_id == account_id,
        )
        query = select(Transaction.state, Transaction.invoice_number).where(
            Transaction.id == transaction_id,
            or_(named == account_id, named.is_(None) & linked),
        )
        row = (await self._tx.execute(query)).first()
        return row is not None and has_pdf(row.state, row.invoice_number)

    async def owner_of(self, customer_id: str, named: str | None) -> str | None:
        """The account that is this customer, deleted or not; None where it is nobody's here.

        `named`: whose Paddle's own data say it is, for customers that no webhook told of yet.
        """
        link = select(CustomerLink.account_id).where(CustomerLink.customer_id == customer_id)
        return await self._tx.scalar(link) or named

    async def is_others(self, customer_id: str, named: str | None, account_id: str) -> bool:
        """Whether an account that lives, and is not this one, is this customer."""
        owner = await self.owner_of(customer_id, named)
        if owner is None or owner == account_id:
            return False
        closed = exists().where(
            BillingAccount.account_id == owner, BillingAccount.closed_at.is_not(None)
        )
        return not await self._tx.scalar(select(closed))
