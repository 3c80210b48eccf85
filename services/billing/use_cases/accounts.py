"""Billing accounts: open the books of one."""

from typing import Final

from libs.common.contracts.accounts import AccountCreated
from services.billing.ports import Ports
from services.billing.repositories.accounts import BillingAccountRepository

FIRST_PLAN: Final = "operator"  # until something is sold, nobody meets a plan


async def open_books(ports: Ports, event: AccountCreated) -> None:
    """Open the account's books, once however often it is told."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        await BillingAccountRepository(tx).add_once(event.account_id, FIRST_PLAN, opened_at=now)
