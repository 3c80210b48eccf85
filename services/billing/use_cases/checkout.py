"""Buy a plan: the person pays at Paddle's checkout, and its webhook tells us."""

import asyncio

from libs.common.contracts.billing import CheckoutQuestion, LinkAnswer
from services.billing.domain.buying import AlreadySubscribed, check_wanted, price_of
from services.billing.domain.paddle import Customer, Order
from services.billing.ports import Paddle, Ports
from services.billing.repositories.buying import BuyingRepository
from services.billing.use_cases.buying import Buyer, find_buyer, seller, waiting


async def start(ports: Ports, account_id: str, question: CheckoutQuestion) -> LinkAnswer:
    """Where to pay. Asked twice, there are two checkouts; who pays one has one subscription.

    Raises BillingAccountNotFound, NothingSold, PlanNotSold, AlreadyGranted, AlreadySubscribed,
    PaddleAway, PaddleRefused, DetailsRefused.
    """
    paddle = seller(ports)
    buyer = await find_buyer(ports, account_id)
    check_wanted(question.plan, buyer.books.granted)
    price_id = price_of(ports.prices, question.plan)
    if buyer.living:
        raise AlreadySubscribed
    async with waiting():
        customer_id = await _customer(ports, buyer, question.email)
        order = Order(
            account_id=account_id,
            price_id=price_id,
            customer_id=customer_id,
            return_url=question.return_url,
        )
        return LinkAnswer(url=await paddle.create_checkout(await _addressed(paddle, order)))


async def _customer(ports: Ports, buyer: Buyer, email: str) -> str | None:
    """Who will pay. None where the address of e-mail is another account's customer already.

    Their addresses and payments are theirs: the checkout then asks who pays.
    """
    paddle = seller(ports)
    if buyer.customer_id is not None:
        return buyer.customer_id
    account_id = buyer.books.account_id
    found = await paddle.find_customer(email) or await paddle.create_customer(email, account_id)
    return found.id if await _is_free(ports, found, account_id) else None


async def _is_free(ports: Ports, customer: Customer, account_id: str) -> bool:
    if not customer.is_active:
        return False
    async with ports.db.transaction() as tx:
        repository = BuyingRepository(tx)
        return not await repository.is_others(customer.id, customer.account_id, account_id)


async def _addressed(paddle: Paddle, order: Order) -> Order:
    """With what Paddle knows of the customer, so that nobody types it twice."""
    if order.customer_id is None:
        return order
    addresses, businesses = await asyncio.gather(
        paddle.list_addresses(order.customer_id), paddle.list_businesses(order.customer_id)
    )
    if not addresses:
        return order
    return Order(
        account_id=order.account_id,
        price_id=order.price_id,
        customer_id=order.customer_id,
        return_url=order.return_url,
        address_id=addresses[0].id,
        business_id=businesses[0].id if businesses else None,
    )
