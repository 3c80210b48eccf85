"""Paddle's own pages for customers: cards, receipts, cancelling."""

from libs.common.contracts.billing import LinkAnswer
from services.billing.domain.buying import NothingBought
from services.billing.ports import Ports
from services.billing.use_cases.buying import find_buyer, seller, waiting


async def enter(ports: Ports, account_id: str) -> LinkAnswer:
    """A link that signs in whoever has it, for a short time.

    Raises BillingAccountNotFound, NothingSold, NothingBought, PaddleAway, PaddleRefused.
    """
    paddle = seller(ports)
    buyer = await find_buyer(ports, account_id)
    if buyer.customer_id is None:
        raise NothingBought
    subscriptions = tuple(one.id for one in buyer.living if one.customer_id == buyer.customer_id)
    async with waiting():
        return LinkAnswer(url=await paddle.open_portal(buyer.customer_id, subscriptions))
