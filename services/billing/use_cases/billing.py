"""All that is known of an account's plan, use and money, in one answer."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from libs.common.contracts.billing import BillingAnswer, Money, SubscriptionAnswer
from libs.common.contracts.plans import PlanName
from libs.common.database import Transaction
from services.billing.domain.subscriptions import (
    STATES,
    Bought,
    Standing,
    grace_ends_at,
    stand,
)
from services.billing.ports import Ports
from services.billing.repositories.accounts import BillingAccountRepository
from services.billing.repositories.invoices import InvoiceRepository, Payer
from services.billing.repositories.subscriptions import Owned, SubscriptionRepository
from services.billing.use_cases import offers, usage

INVOICES: Final = 100


async def show(ports: Ports, account_id: str) -> BillingAnswer:
    """Raises BillingAccountNotFound."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        books = await BillingAccountRepository(tx).get(account_id)
        owned = await SubscriptionRepository(tx, ports.prices).of_accounts([account_id])
        invoices = await InvoiceRepository(tx).recent(account_id, INVOICES)
        payer = await find_payer(tx, account_id, owned)
        details = await InvoiceRepository(tx).details(payer)
    bought = [one.as_bought(ports.prices) for one in owned]
    standing = stand(books.granted, bought, now)
    shown = _shown(owned, bought, standing)
    return BillingAnswer(
        account_id=account_id,
        plan=books.plan,
        is_sold=is_sold(ports),
        # An operator's plan is the largest: nothing that is sold adds to it.
        offers=() if books.granted is PlanName.OPERATOR else await offers.list_offers(ports),
        subscription=_subscription(*shown) if shown else None,
        next_plan=_next_plan(books.granted, bought, shown, now),
        usage=await usage.of_period(ports, account_id),
        invoices=tuple(invoices),
        details=details,
    )


def is_sold(ports: Ports) -> bool:
    """Whether anything can be bought here."""
    return ports.paddle is not None and bool(ports.prices)


async def find_payer(tx: Transaction, account_id: str, owned: Sequence[Owned]) -> Payer:
    """Whom its invoices are written to: as its living subscription says, else the last one."""
    last = max(
        owned, key=lambda one: (one.state in _LIVING, one.started_at or _NEVER), default=None
    )
    if last is None:
        return await InvoiceRepository(tx).find_payer(account_id)
    return Payer(
        customer_id=last.customer_id, address_id=last.address_id, business_id=last.business_id
    )


_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_LIVING: Final = frozenset(STATES) - {"canceled"}


def _shown(
    owned: Sequence[Owned], bought: Sequence[Bought], standing: Standing
) -> tuple[Owned, Bought] | None:
    """The one that counts; else one that lives and gives nothing now. None when all are over."""
    living = [pair for pair in zip(owned, bought, strict=True) if pair[1].is_living]
    return max(
        living, key=lambda pair: (pair[0].id == standing.best, pair[0].occurred_at), default=None
    )


def _subscription(owned: Owned, bought: Bought) -> SubscriptionAnswer | None:
    """None where none of its prices is known here: then it is not ours to show."""
    if bought.plan is None:
        return None
    return SubscriptionAnswer(
        id=owned.id,
        plan=bought.plan,
        state=owned.state,  # type: ignore[arg-type]  # a living one's is one of the words
        started_at=owned.started_at or owned.occurred_at,
        pays_until=owned.pays_until,
        ends_at=owned.changes_at if owned.change == "cancel" else None,
        grace_ends_at=grace_ends_at(bought),
        price=Money(amount=owned.price, currency=owned.currency) if owned.price else None,
    )


def _next_plan(
    granted: PlanName,
    bought: Sequence[Bought],
    shown: tuple[Owned, Bought] | None,
    now: datetime,
) -> PlanName | None:
    """What a scheduled change brings; None where none is scheduled, or it brings nothing new."""
    changes_at = shown[0].changes_at if shown and shown[0].change in {"cancel", "pause"} else None
    if changes_at is None:
        return None
    then = stand(granted, bought, changes_at).plan
    return then if then != stand(granted, bought, now).plan else None
