"""Change what is bought, and say first what that costs."""

from libs.common.contracts.billing import PlanChangeAnswer, PlanChangeQuestion
from services.billing.domain.buying import SamePlan, check_wanted, price_of
from services.billing.ports import Ports
from services.billing.repositories.subscriptions import Owned
from services.billing.use_cases.buying import find_buyer, seller, waiting


async def change(ports: Ports, account_id: str, question: PlanChangeQuestion) -> PlanChangeAnswer:
    """At once and prorated; a payment that fails changes nothing. Done twice, it is done once.

    Raises BillingAccountNotFound, NothingSold, PlanNotSold, AlreadyGranted, NotSubscribed,
    SamePlan, PaddleAway, PaddleRefused.
    """
    paddle = seller(ports)
    buyer = await find_buyer(ports, account_id)
    check_wanted(question.plan, buyer.books.granted)
    subscription = buyer.subscription()
    price_id = _price(ports, subscription, question)
    async with waiting():
        costs = await paddle.preview_price(subscription.id, price_id)
        if not question.is_preview:
            await paddle.change_price(subscription.id, price_id)
    return PlanChangeAnswer(
        plan=question.plan,
        now=costs.now,
        next=costs.next,
        next_at=costs.next_at,
        is_done=not question.is_preview,
    )


def _price(ports: Ports, subscription: Owned, question: PlanChangeQuestion) -> str:
    known = [price_id for price_id in subscription.price_ids if price_id in ports.prices]
    if any(ports.prices[price_id] == question.plan for price_id in known):
        raise SamePlan
    return price_of(ports.prices, question.plan, like=known[0] if known else None)
