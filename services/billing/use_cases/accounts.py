"""Billing accounts: open the books of one, and close them."""

from typing import Final

from libs.common.contracts.accounts import AccountCreated, AccountDeleted
from services.billing.ports import Ports
from services.billing.repositories.accounts import BillingAccountRepository

FIRST_PLAN: Final = "operator"  # until something is sold, nobody meets a plan


async def open_books(ports: Ports, event: AccountCreated) -> None:
    """Open the account's books, once however often it is told."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        await BillingAccountRepository(tx).add_once(event.account_id, FIRST_PLAN, opened_at=now)


async def close_books(ports: Ports, event: AccountDeleted) -> None:
    """The account is nobody's any more. Told before its creation, it is closed all the same.

    A day later its usage becomes sums (`closing`): until then some of it may be told twice.
    """
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        accounts = BillingAccountRepository(tx)
        await accounts.add_once(event.account_id, FIRST_PLAN, opened_at=now)
        await accounts.close(event.account_id, at=now)
