"""End what is bought when its paid time ends, or let it go on after all."""

from typing import Final

from libs.common.contracts.billing import CancelQuestion
from services.billing.domain.buying import NotSubscribed
from services.billing.ports import Ports
from services.billing.use_cases.buying import find_buyer, seller, waiting

_PAUSED: Final = "paused"


async def cancel(ports: Ports, account_id: str, question: CancelQuestion) -> None:
    """Of everything that the account buys. Done twice, it is done once.

    What is paused has no paid time: it ends at once. Raises BillingAccountNotFound, NothingSold,
    NotSubscribed, PaddleAway, PaddleRefused.
    """
    paddle = seller(ports)
    buyer = await find_buyer(ports, account_id)
    if not buyer.living:
        raise NotSubscribed
    async with waiting():
        for one in buyer.living:
            if question.is_wanted:
                await paddle.cancel(one.id, at_once=one.state == _PAUSED)
            else:
                await paddle.keep(one.id)
