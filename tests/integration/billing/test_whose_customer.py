"""Paddle has one customer for each address of e-mail, whoever types it and whatever they buy."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from deploy.local.paddle.store import Thing
from libs.common.contracts.accounts import AccountCreated, AccountDeleted
from libs.common.contracts.billing import (
    CancelQuestion,
    CheckoutQuestion,
    PlanChanged,
    TaxDetails,
)
from libs.common.contracts.plans import PlanName
from services.billing.domain.buying import NothingBought, NotSubscribed
from services.billing.domain.paddle import DetailsRefused
from services.billing.ports import Ports
from services.billing.use_cases import accounts, billing, cancelling, checkout, details, portal
from tests.support.paddle import PRICES, PaddleStandIn, paddle
from tests.support.paddle_events import PRICES as EVENT_PRICES
from tests.support.paddle_events import at, customer, event, subscription, transaction
from tests.support.paddle_inbox import rows, tell, told

VICTIM = "victim@example.com"
GONE = AccountDeleted(account_id="acc_1", project_ids=())


@pytest.fixture
async def stand_in() -> AsyncIterator[PaddleStandIn]:
    async with paddle() as running:
        yield running


@pytest.fixture
async def shop(ports: Ports, stand_in: PaddleStandIn) -> Ports:
    """Billing that sells, with two accounts on Free."""
    prices = {**PRICES, **EVENT_PRICES}
    selling = msgspec.structs.replace(ports, paddle=stand_in.api, prices=prices)
    for number in (1, 2):
        opened = AccountCreated(account_id=f"acc_{number}", plan="free")
        await accounts.open_books(selling, opened)
    return selling


async def _hear(ports: Ports, stand_in: PaddleStandIn) -> None:
    bodies = [msgspec.json.encode(one) for one in stand_in.events()]
    await tell(ports, *bodies)


async def _begin(ports: Ports, stand_in: PaddleStandIn, email: str) -> Thing:
    """What account 2 would have to pay."""
    question = CheckoutQuestion(plan=PlanName.PRO, email=email, return_url="http://127.0.0.1/")
    link = await checkout.start(ports, "acc_2", question)
    return stand_in.shop.transaction(link.url.rpartition("=")[2])


async def test_who_types_anothers_address_at_a_checkout_does_not_see_their_portal(
    shop: Ports, stand_in: PaddleStandIn
) -> None:
    await details.write(shop, "acc_1", TaxDetails(email=VICTIM, country="DE", postal_code="10115"))
    await _hear(shop, stand_in)
    order = await _begin(shop, stand_in, VICTIM)
    assert order["customer_id"] is None
    order["customer_id"] = stand_in.shop.store.all("customer")[0]["id"]
    with stand_in.shop.store.change():
        stand_in.shop.store.put("transaction", order)
        stand_in.shop.teller.tell("transaction.updated", order)
    await _hear(shop, stand_in)

    with pytest.raises(NothingBought):
        await portal.enter(shop, "acc_2")

    await accounts.close_books(shop, AccountDeleted(account_id="acc_2", project_ids=()))
    assert [row["email"] for row in await rows(shop, "customers")] == [VICTIM]


async def test_a_checkout_that_nobody_paid_opens_no_portal_of_who_was_deleted(
    shop: Ports, stand_in: PaddleStandIn
) -> None:
    await details.write(shop, "acc_1", TaxDetails(email=VICTIM, country="DE", postal_code="10115"))
    await _hear(shop, stand_in)
    await accounts.close_books(shop, GONE)
    await _begin(shop, stand_in, VICTIM)
    await _hear(shop, stand_in)

    with pytest.raises(NothingBought):
        await portal.enter(shop, "acc_2")


async def test_who_types_the_address_of_a_stranger_changes_nothing_of_theirs(
    shop: Ports, stand_in: PaddleStandIn
) -> None:
    theirs = stand_in.shop.people.create("customer", {"email": VICTIM})
    stand_in.shop.people.create("business", {"name": "Theirs SA"}, theirs["id"])

    with pytest.raises(DetailsRefused):
        await details.write(shop, "acc_2", TaxDetails(email=VICTIM, country="FR"))

    assert [one["status"] for one in stand_in.shop.store.all("business")] == ["active"]
    assert stand_in.shop.store.all("address") == []


@pytest.fixture
async def elsewhere(shop: Ports) -> Ports:
    """Account 1 is a customer of ours, and buys something else of the same seller."""
    ours = customer(1, custom_data={"account_id": "acc_1"})
    other = subscription(
        2,
        customer_id=ours["id"],
        price_id="pri_of_something_else",
        custom_data=None,
        started_at="2026-03-17T00:00:00Z",
    )
    await tell(
        shop,
        event("customer.created", ours, at()),
        event("subscription.created", other, at(minutes=1)),
    )
    return shop


async def test_what_is_bought_of_the_seller_elsewhere_is_not_ours(
    elsewhere: Ports,
) -> None:
    assert await told(elsewhere) == []
    with pytest.raises(NotSubscribed):
        await cancelling.cancel(elsewhere, "acc_1", CancelQuestion())
    assert (await billing.show(elsewhere, "acc_1")).subscription is None
    await accounts.close_books(elsewhere, GONE)
    assert await accounts.end_bought(elsewhere) == 0


async def test_a_payment_for_something_else_that_fails_is_told_to_nobody_of_ours(
    elsewhere: Ports,
) -> None:
    failed = transaction(
        1,
        "past_due",
        subscription_id=subscription(2)["id"],
        customer_id=customer(1)["id"],
        custom_data=None,
    )
    await tell(elsewhere, event("transaction.payment_failed", failed, at(hours=1)))
    assert await told(elsewhere) == []


async def test_what_names_nobody_and_has_a_price_of_ours_is_its_customers(elsewhere: Ports) -> None:
    nameless = subscription(3, customer_id=customer(1)["id"], custom_data=None)
    await tell(elsewhere, event("subscription.created", nameless, at(minutes=2)))
    assert await told(elsewhere) == [
        PlanChanged(account_id="acc_1", plan=PlanName.PRO, anchor_day=1, version=1)
    ]
