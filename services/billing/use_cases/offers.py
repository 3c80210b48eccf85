"""What can be had here, and what it costs."""

import asyncio

from libs.common.contracts.billing import OfferAnswer
from libs.common.contracts.plans import SOLD, PlanName
from services.billing.domain.buying import PlanNotSold, price_of
from services.billing.domain.paddle import PaddleAway, PaddleRefused
from services.billing.ports import Paddle, Ports


async def list_offers(ports: Ports) -> tuple[OfferAnswer, ...]:
    """Free, and what is sold now. A price that Paddle does not tell in two seconds is no offer."""
    if ports.paddle is None or not ports.prices:
        return ()
    offers = await asyncio.gather(*(_offer(ports, ports.paddle, plan) for plan in SOLD))
    free = OfferAnswer(plan=PlanName.FREE, price=None)
    return (free, *(offer for offer in offers if offer is not None))


async def _offer(ports: Ports, paddle: Paddle, plan: PlanName) -> OfferAnswer | None:
    try:
        price = await paddle.price(price_of(ports.prices, plan))
    except (PlanNotSold, PaddleAway, PaddleRefused):
        return None
    return OfferAnswer(plan=plan, price=price)
