"""Buying and what follows, against the stand-in: what each use case asks of Paddle, and refuses."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from deploy.local.paddle.faults import Fault
from deploy.local.paddle.store import Thing
from libs.common.contracts.accounts import AccountCreated, AccountDeleted
from libs.common.contracts.billing import (
    CancelQuestion,
    CheckoutQuestion,
    PlanChangeQuestion,
    TaxDetails,
)
from libs.common.contracts.plans import PlanName
from libs.common.errors import AppError
from services.billing.domain import entities as shapes
from services.billing.domain import notices
from services.billing.domain.entities import Kind
from services.billing.ports import Ports
from services.billing.use_cases import (
    accounts,
    cancelling,
    checkout,
    details,
    entities,
    invoices,
    offers,
    plan_changes,
    plans,
    portal,
)
from services.billing.use_cases.entities import Telling
from tests.support.paddle import PRICES, PRO, SCALE, PaddleStandIn, paddle

RETURN_URL = "http://127.0.0.1/billing"


@pytest.fixture
async def stand_in() -> AsyncIterator[PaddleStandIn]:
    async with paddle() as running:
        yield running


@pytest.fixture
async def shop(ports: Ports, stand_in: PaddleStandIn) -> Ports:
    """Billing that sells, with two accounts on Free."""
    selling = msgspec.structs.replace(ports, paddle=stand_in.api, prices=PRICES)
    for account_id in ("acc_1", "acc_2"):
        await accounts.open_books(selling, AccountCreated(account_id=account_id, plan="free"))
    return selling


def _wanted(plan: PlanName = PlanName.PRO, email: str = "who@example.com") -> CheckoutQuestion:
    return CheckoutQuestion(plan=plan, email=email, return_url=RETURN_URL)


async def _hear(ports: Ports, stand_in: PaddleStandIn) -> None:
    """Take over everything that the stand-in told so far."""
    for event in stand_in.events():
        notice = notices.read(msgspec.json.encode(event))
        telling = Telling(
            thing=shapes.read(Kind(notice.family), notice.data),
            event_id=notice.event_id,
            occurred_at=notice.occurred_at,
        )
        async with ports.db.transaction() as tx:
            await entities.take_over(tx, ports, [telling])


async def _buy(ports: Ports, stand_in: PaddleStandIn, account_id: str = "acc_1") -> Thing:
    """A subscription to Pro that billing knows of."""
    link = await checkout.start(ports, account_id, _wanted(email=f"{account_id}@example.com"))
    stand_in.pay(link.url)
    await _hear(ports, stand_in)
    return stand_in.shop.store.all("subscription")[0]


async def _refused(call: object) -> str:
    with pytest.raises(AppError) as refused:
        await call  # type: ignore[misc]
    return refused.value.code


async def test_what_is_bought_names_the_account(shop: Ports, stand_in: PaddleStandIn) -> None:
    subscription = await _buy(shop, stand_in)
    assert subscription["custom_data"] == {"account_id": "acc_1", "return_url": RETURN_URL}
    code = await _refused(checkout.start(shop, "acc_1", _wanted()))
    assert code == "already_subscribed"


@pytest.mark.parametrize("plan", [PlanName.FREE, PlanName.OPERATOR])
async def test_what_is_not_sold_is_not_bought(shop: Ports, plan: PlanName) -> None:
    assert await _refused(checkout.start(shop, "acc_1", _wanted(plan))) == "plan_not_sold"


async def test_who_may_do_more_already_buys_nothing(shop: Ports) -> None:
    await plans.grant(shop, "acc_1", PlanName.OPERATOR)
    assert await _refused(checkout.start(shop, "acc_1", _wanted())) == "plan_already_granted"


async def test_without_a_provider_nothing_is_sold(ports: Ports) -> None:
    await accounts.open_books(ports, AccountCreated(account_id="acc_1", plan="free"))
    assert await _refused(checkout.start(ports, "acc_1", _wanted())) == "nothing_sold"
    assert await _refused(portal.enter(ports, "acc_1")) == "nothing_sold"
    assert await offers.list_offers(ports) == ()


async def test_nobody_meets_the_customer_of_another_account(
    shop: Ports, stand_in: PaddleStandIn
) -> None:
    theirs = await _buy(shop, stand_in, "acc_1")
    link = await checkout.start(shop, "acc_2", _wanted(email="acc_1@example.com"))
    order = stand_in.shop.transaction(link.url.rpartition("=")[2])
    assert (order["customer_id"], order["address_id"]) == (None, None)
    assert await _refused(portal.enter(shop, "acc_2")) == "nothing_bought"
    taken = TaxDetails(email="acc_1@example.com", country="DE", postal_code="10115")
    assert await _refused(details.write(shop, "acc_2", taken)) == "invalid_billing_details"

    await accounts.close_books(shop, AccountDeleted(account_id="acc_1", project_ids=()))
    again = await checkout.start(shop, "acc_2", _wanted(email="acc_1@example.com"))
    order = stand_in.shop.transaction(again.url.rpartition("=")[2])
    assert order["customer_id"] == theirs["customer_id"]


async def test_the_portal_is_the_customers_own(shop: Ports, stand_in: PaddleStandIn) -> None:
    assert await _refused(portal.enter(shop, "acc_1")) == "nothing_bought"
    await _buy(shop, stand_in)
    link = await portal.enter(shop, "acc_1")
    assert "acc_1@example.com" in (await stand_in.client.get(link.url)).text


async def test_a_change_says_its_cost_and_is_done_when_wanted(
    shop: Ports, stand_in: PaddleStandIn
) -> None:
    assert await _refused(_change(shop, PlanName.SCALE)) == "not_subscribed"
    await _buy(shop, stand_in)
    preview = await plan_changes.change(shop, "acc_1", PlanChangeQuestion(plan=PlanName.SCALE))
    assert preview.now is not None
    assert preview.now.amount > 0
    assert not preview.is_done
    assert stand_in.shop.store.all("subscription")[0]["items"][0]["price"]["id"] == PRO
    done = await plan_changes.change(
        shop, "acc_1", PlanChangeQuestion(plan=PlanName.SCALE, is_preview=False)
    )
    assert done.is_done
    await _hear(shop, stand_in)
    assert await _refused(_change(shop, PlanName.SCALE)) == "same_plan"
    down = await plan_changes.change(shop, "acc_1", PlanChangeQuestion(plan=PlanName.PRO))
    assert down.now is not None
    assert down.now.amount < 0


async def _change(ports: Ports, plan: PlanName) -> None:
    await plan_changes.change(ports, "acc_1", PlanChangeQuestion(plan=plan))


async def test_cancelling_and_thinking_better_of_it(shop: Ports, stand_in: PaddleStandIn) -> None:
    assert await _refused(cancelling.cancel(shop, "acc_1", CancelQuestion())) == "not_subscribed"
    bought = await _buy(shop, stand_in)
    await cancelling.cancel(shop, "acc_1", CancelQuestion())
    now = stand_in.shop.subscriptions.get(bought["id"])
    assert now["scheduled_change"]["action"] == "cancel"
    await cancelling.cancel(shop, "acc_1", CancelQuestion(is_wanted=False))
    assert stand_in.shop.subscriptions.get(bought["id"])["scheduled_change"] is None


async def test_details_are_written_once_and_what_goes_on_is_billed_to_them(
    shop: Ports, stand_in: PaddleStandIn
) -> None:
    wanted = TaxDetails(
        email="books@example.com",
        business_name="Acme",
        tax_id="de 136 695 976",
        country="DE",
        postal_code="10115",
    )
    bought = await _buy(shop, stand_in)
    await details.write(shop, "acc_1", wanted)
    told = len(stand_in.shop.store.due(1_000_000))
    await details.write(shop, "acc_1", wanted)
    billed = stand_in.shop.subscriptions.get(bought["id"])
    business = stand_in.shop.people.get("business", billed["business_id"])
    assert (business["name"], business["tax_identifier"]) == ("Acme", "DE136695976")
    assert len(stand_in.shop.store.all("business")) == len(stand_in.shop.store.all("address")) == 1
    assert stand_in.shop.store.all("customer")[0]["email"] == "books@example.com"
    assert len(stand_in.shop.store.due(1_000_000)) == told + 1  # the subscription, told again

    await details.write(
        shop, "acc_1", msgspec.structs.replace(wanted, business_name=None, tax_id=None)
    )
    assert stand_in.shop.subscriptions.get(bought["id"])["business_id"] is None
    assert stand_in.shop.store.all("business")[0]["status"] == "archived"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (TaxDetails(country="DE", business_name="A", tax_id="DE123456789"), "invalid_tax_id"),
        (TaxDetails(country="DE", tax_id="DE136695976"), "invalid_billing_details"),
        (TaxDetails(country="Germany"), "invalid_billing_details"),
        (TaxDetails(postal_code="10115"), "invalid_billing_details"),
        (TaxDetails(email="x" * 201), "invalid_billing_details"),
    ],
    ids=["digits", "nameless", "country", "nowhere", "long"],
)
async def test_wrong_details_are_refused_before_anybody_is_asked(
    shop: Ports, stand_in: PaddleStandIn, wrong: TaxDetails, code: str
) -> None:
    stand_in.plan(Fault(kind="error", count=1))
    assert await _refused(details.write(shop, "acc_1", wrong)) == code
    assert stand_in.faults.met == 0


async def test_an_invoice_is_shown_to_its_account_alone(
    shop: Ports, stand_in: PaddleStandIn
) -> None:
    await _buy(shop, stand_in)
    invoice_id = stand_in.shop.store.all("transaction")[0]["id"]
    link = await invoices.link_pdf(shop, "acc_1", invoice_id)
    assert link.url.endswith(".pdf")
    assert await _refused(invoices.link_pdf(shop, "acc_2", invoice_id)) == "invoice_not_found"
    assert await _refused(invoices.link_pdf(shop, "acc_1", "txn_none")) == "invoice_not_found"


async def test_offers_are_what_paddle_says_now(shop: Ports, stand_in: PaddleStandIn) -> None:
    stand_in.plan(Fault(kind="error", path=f"/prices/{SCALE}", count=1_000))
    found = {offer.plan: offer.price for offer in await offers.list_offers(shop)}
    assert set(found) == {PlanName.FREE, PlanName.PRO}
    assert found[PlanName.FREE] is None
    price = found[PlanName.PRO]
    assert price is not None
    assert price.amount == 4_900


async def test_while_paddle_is_away_it_is_said_so(shop: Ports, stand_in: PaddleStandIn) -> None:
    stand_in.plan(Fault(kind="cut", path="/customers", method="POST", count=1_000))
    assert await _refused(checkout.start(shop, "acc_1", _wanted())) == "payment_provider_away"
