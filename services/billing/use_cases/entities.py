"""Paddle's things: take over what an event says of them, unless a later one has been here.

The same for webhooks and for what is asked of Paddle's API: whoever comes with a thing and a moment
gets the same end, whatever the order, and however often.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from prometheus_client import Counter

from libs.common import logs
from libs.common.contracts.plans import PlanName
from libs.common.database import Transaction
from services.billing.domain.entities import Kind, Thing
from services.billing.domain.subscriptions import can_follow
from services.billing.ports import Ports
from services.billing.repositories.accounts import BillingAccountRepository
from services.billing.repositories.entities import EntityRepository, Moment, Put
from services.billing.repositories.webhooks import WebhookRepository
from services.billing.use_cases import plans

log = logs.get(__name__)

SUBSCRIPTION_JUMPED: Final = "subscription_jumped"
SUBSCRIPTION_UNPRICED: Final = "subscription_unpriced"

JUMPED: Final = Counter(
    "reqrun_subscription_jumps_total", "Moves between states that Paddle does not document"
)
UNPRICED: Final = Counter(
    "reqrun_subscriptions_unpriced_total", "Told of subscriptions with no price that is known here"
)


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """That a thing was so, at a moment. `event_id` orders those of one moment."""

    thing: Thing
    event_id: str
    occurred_at: datetime
    has_payment_failed: bool = False


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `account_id`: whose the thing is, where that is known."""

    is_newest: bool
    account_id: str | None


async def take_over(
    tx: Transaction, ports: Ports, tellings: Sequence[Telling]
) -> tuple[list[Taken], set[str]]:
    """What came of each, and which of the accounts are closed; of those nothing personal stays.

    Takes locks that last until the end of `tx`: customers, then accounts.
    """
    entities = EntityRepository(tx)
    await entities.lock_customers(one.thing.customer_id or one.thing.id for one in tellings)
    touched: set[str] = set()
    newest = [await _put(entities, telling, touched) for telling in tellings]
    _note_unpriced(tellings, ports.prices)
    customers = {one.thing.customer_id for one in tellings if one.thing.customer_id}
    links = await entities.accounts_of(customers)
    owners = [one.thing.account_id or links.get(one.thing.customer_id or "") for one in tellings]
    touched.update(owner for owner in owners if owner)
    await plans.refresh(tx, ports, touched)
    closed = await _strip_closed(tx, touched)
    taken = zip(newest, owners, strict=True)
    return [Taken(is_newest=is_newest, account_id=owner) for is_newest, owner in taken], closed


async def _put(entities: EntityRepository, telling: Telling, touched: set[str]) -> bool:
    """Write one down. `touched`: gets the accounts that it was of before."""
    thing = telling.thing
    at = Moment(telling.occurred_at, telling.event_id)
    put = await entities.put(thing, at)
    if put.old_account_id:
        touched.add(put.old_account_id)
    if thing.account_id and thing.customer_id and _is_proof(thing):
        before = await entities.link(thing.customer_id, thing.account_id, at)
        touched.update({before} if before else ())
    if thing.kind is Kind.SUBSCRIPTION:
        await entities.note_move(thing.id, thing.values["state"], at)
        _note_jump(thing, put)
    if telling.has_payment_failed:
        await entities.note_payment_failure(thing.id, telling.occurred_at)
    return put.is_newest


def _is_proof(thing: Thing) -> bool:
    """Whether it shows that the customer is the account's, which opens their portal to it.

    At a checkout anybody may type anybody's address of e-mail, and so becomes their customer: that
    shows nothing before it is paid.
    """
    return thing.kind is not Kind.TRANSACTION or thing.values["billed_at"] is not None


def _note_jump(thing: Thing, put: Put) -> None:
    state = thing.values["state"]
    if put.is_newest and not can_follow(put.old_state, state):
        JUMPED.inc()
        log.warning(SUBSCRIPTION_JUMPED, state=state)


def _note_unpriced(tellings: Sequence[Telling], prices: Mapping[str, PlanName]) -> None:
    """Somebody pays for what nobody gives: a price is missing in the settings."""
    for thing in (telling.thing for telling in tellings):
        is_bought = thing.kind is Kind.SUBSCRIPTION and thing.account_id is not None
        if is_bought and not prices.keys() & set(thing.values["price_ids"]):
            UNPRICED.inc()
            log.error(SUBSCRIPTION_UNPRICED, account_id=thing.account_id)


async def _strip_closed(tx: Transaction, account_ids: set[str]) -> set[str]:
    """Somebody who is gone is told of: what came with that goes too."""
    books = await BillingAccountRepository(tx).find(account_ids) if account_ids else []
    closed = {one.account_id for one in books if one.is_closed}
    for account_id in sorted(closed):
        await strip(tx, account_id)
    return closed


async def strip(tx: Transaction, account_id: str) -> None:
    """Of a closed account only ids, states, amounts, dates and countries stay (decision 0027)."""
    entities = EntityRepository(tx)
    customers = await entities.customers_of(account_id, is_proven=False)
    await entities.strip(customers)
    await WebhookRepository(tx).strip(account_id, customers)
