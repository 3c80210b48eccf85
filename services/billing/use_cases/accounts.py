"""Billing accounts: open the books of one, and close them."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Counter

from libs.common import logs
from libs.common.contracts.accounts import AccountCreated, AccountDeleted
from libs.common.contracts.plans import PlanName
from libs.common.errors import AppError, Unavailable
from libs.common.runtime import sleep
from services.billing.ports import Paddle, Ports
from services.billing.repositories.accounts import BillingAccountRepository
from services.billing.repositories.entities import EntityRepository
from services.billing.repositories.subscriptions import SubscriptionRepository
from services.billing.use_cases import entities, plans

log = logs.get(__name__)

ENDING_FAILED: Final = "subscription_ending_failed"

ENDINGS: Final = Counter(
    "reqrun_deleted_accounts_cancels_total", "Cancels asked of Paddle for deleted accounts"
)

FIRST_PLAN: Final = PlanName.OPERATOR  # of an account that we hear of when it is gone
ASK_EVERY: Final = timedelta(minutes=1)
ASK_AGAIN: Final = timedelta(minutes=30)
BATCH: Final = 50


async def open_books(ports: Ports, event: AccountCreated) -> None:
    """Open the account's books, once however often it is told. What it bought may be here before.

    Raises ValueError for a plan that is not known here (yet).
    """
    plan = PlanName(event.plan)
    async with ports.db.transaction() as tx:
        await EntityRepository(tx).lock_accounts([event.account_id])
        await BillingAccountRepository(tx).add_once(
            event.account_id, plan, opened_at=ports.clock.now()
        )
        await plans.refresh(tx, ports, [event.account_id])


async def close_books(ports: Ports, event: AccountDeleted) -> None:
    """The account is nobody's any more. Told before its creation, it is closed all the same.

    Whom invoices were written to goes now; what it still buys is ended (`end_bought`). A day later
    its usage becomes sums (`closing`): until then some of it may be told twice.
    """
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        paying = EntityRepository(tx)
        customers = await paying.customers_of(event.account_id, is_proven=False)
        await paying.lock_customers(customers)
        await paying.lock_accounts([event.account_id])
        accounts = BillingAccountRepository(tx)
        await accounts.add_once(event.account_id, FIRST_PLAN, opened_at=now)
        await accounts.close(event.account_id, at=now)
        await entities.strip(tx, event.account_id)


async def end_all_bought(ports: Ports, stop: asyncio.Event) -> None:
    """A loop: nobody pays for an account that is gone. Any number of workers may."""
    while not stop.is_set():
        try:
            await end_bought(ports)
        except Exception:  # it is tried again in a minute
            log.exception(ENDING_FAILED)
        await sleep(stop, ASK_EVERY.total_seconds())


async def end_bought(ports: Ports) -> int:
    """Ask Paddle to cancel what deleted accounts still buy, until it says that it is done."""
    if ports.paddle is None:
        return 0
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        left = await SubscriptionRepository(tx, ports.prices).of_closed(now - ASK_AGAIN, BATCH)
    for subscription_id in left:
        await _end(ports, ports.paddle, subscription_id, now)
    return len(left)


async def _end(ports: Ports, paddle: Paddle, subscription_id: str, now: datetime) -> None:
    try:
        await paddle.cancel(subscription_id, at_once=True)
    except Unavailable as away:
        log.warning(ENDING_FAILED, error_code=away.code)
        return
    except AppError as refused:  # it keeps no other from its end, and is asked again later
        log.error(ENDING_FAILED, error_code=refused.code)  # noqa: TRY400  its text says no more
    ENDINGS.inc()
    async with ports.db.transaction() as tx:
        await SubscriptionRepository(tx, ports.prices).note_asked_end(subscription_id, now)
