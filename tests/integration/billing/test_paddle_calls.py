"""Paddle's answers come late, cut, wrong, or not at all: what becomes of each call."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from structlog.testing import capture_logs

from deploy.local.paddle.faults import Fault, Kind
from libs.common.settings import Secret
from services.billing.adapters.paddle import HttpPaddle
from services.billing.domain.paddle import (
    Customer,
    DetailsRefused,
    Order,
    PaddleAway,
    PaddleRefused,
)
from tests.support.paddle import KEY, PRO, SCALE, PaddleStandIn, paddle

EMAIL = "canary-of-mail@example.com"


@pytest.fixture
async def stand_in() -> AsyncIterator[PaddleStandIn]:
    async with paddle() as running:
        yield running


@pytest.fixture
async def customer(stand_in: PaddleStandIn) -> Customer:
    return await stand_in.api.create_customer(EMAIL, "acc_1")


@pytest.fixture
async def bought(stand_in: PaddleStandIn, customer: Customer) -> str:
    """The id of a subscription."""
    stand_in.pay(await stand_in.api.create_checkout(_order(customer)))
    return str(stand_in.shop.store.all("subscription")[0]["id"])


def _order(customer: Customer) -> Order:
    return Order(
        account_id="acc_1",
        price_id=PRO,
        customer_id=customer.id,
        return_url="http://127.0.0.1/billing",
    )


def _count(stand_in: PaddleStandIn, kind: str) -> int:
    return len(stand_in.shop.store.all(kind))


async def test_a_checkout_whose_answer_was_lost_is_made_again_and_only_one_is_paid(
    stand_in: PaddleStandIn, customer: Customer
) -> None:
    stand_in.plan(Fault(kind="lost", path="/transactions"))
    url = await stand_in.api.create_checkout(_order(customer))
    assert _count(stand_in, "transaction") == 2
    stand_in.pay(url)
    assert _count(stand_in, "subscription") == 1


async def test_a_customer_whose_answer_was_lost_is_found(stand_in: PaddleStandIn) -> None:
    stand_in.plan(Fault(kind="lost", path="/customers", method="POST"))
    made = await stand_in.api.create_customer(EMAIL, "acc_1")
    assert [one["id"] for one in stand_in.shop.store.all("customer")] == [made.id]
    assert made == await stand_in.api.create_customer(EMAIL, "acc_2")
    assert made.account_id == "acc_1"


async def test_an_address_and_a_business_whose_answers_were_lost_are_there_once(
    stand_in: PaddleStandIn, customer: Customer
) -> None:
    stand_in.plan(Fault(kind="lost", path="/customers", method="POST"))
    address = await stand_in.api.save_address(customer.id, None, "DE", "10115")
    stand_in.plan(Fault(kind="lost", path="/customers", method="POST"))
    business = await stand_in.api.save_business(customer.id, None, "Acme", "DE136695976")
    assert await stand_in.api.list_addresses(customer.id) == [address]
    assert await stand_in.api.list_businesses(customer.id) == [business]
    await stand_in.api.archive_business(customer.id, business.id)
    assert await stand_in.api.list_businesses(customer.id) == []


@pytest.mark.parametrize("at_once", [True, False], ids=["at_once", "at_the_end"])
async def test_a_cancel_whose_answer_was_lost_is_done_once(
    stand_in: PaddleStandIn, bought: str, *, at_once: bool
) -> None:
    stand_in.plan(Fault(kind="lost", path="/subscriptions", method="POST"))
    await stand_in.api.cancel(bought, at_once=at_once)
    await stand_in.api.cancel(bought, at_once=at_once)
    now = await stand_in.api.get_subscription(bought)
    assert (now.state, now.change) == (("canceled", None) if at_once else ("active", "cancel"))


async def test_a_scheduled_end_is_taken_back_twice_without_harm(
    stand_in: PaddleStandIn, bought: str
) -> None:
    await stand_in.api.cancel(bought)
    stand_in.plan(Fault(kind="lost", path="/subscriptions"))
    await stand_in.api.keep(bought)
    assert (await stand_in.api.get_subscription(bought)).change is None


async def test_a_change_whose_answer_was_lost_is_paid_once(
    stand_in: PaddleStandIn, bought: str
) -> None:
    stand_in.plan(Fault(kind="lost", path="/subscriptions", method="PATCH"))
    await stand_in.api.change_price(bought, SCALE)
    assert (await stand_in.api.get_subscription(bought)).price_ids == (SCALE,)
    origins = [one["origin"] for one in stand_in.shop.store.all("transaction")]
    assert sorted(origins) == ["api", "subscription_update"]


async def test_a_change_that_was_not_done_is_not_done_again_by_itself(
    stand_in: PaddleStandIn, bought: str
) -> None:
    stand_in.plan(Fault(kind="error", path="/subscriptions", method="PATCH", count=5))
    with pytest.raises(PaddleAway):
        await stand_in.api.change_price(bought, SCALE)
    assert stand_in.faults.met == 1
    assert (await stand_in.api.get_subscription(bought)).price_ids == (PRO,)


async def test_a_declined_payment_changes_nothing_and_says_what_to_do(
    stand_in: PaddleStandIn, bought: str
) -> None:
    shop = stand_in.shop
    shop.subscriptions.wish(shop.subscriptions.get(bought), fails=True)
    with pytest.raises(PaddleRefused, match="payment method") as refused:
        await stand_in.api.change_price(bought, SCALE)
    assert refused.value.reason == "subscription_payment_declined"
    assert (await stand_in.api.get_subscription(bought)).price_ids == (PRO,)


async def test_a_preview_says_the_cost_and_changes_nothing(
    stand_in: PaddleStandIn, bought: str
) -> None:
    costs = await stand_in.api.preview_price(bought, SCALE)
    assert costs.now is not None
    assert costs.next is not None
    assert costs.now.amount > 0
    assert costs.next.amount == 49_900 * 119 // 100
    assert costs.next_at is not None
    assert (await stand_in.api.get_subscription(bought)).price_ids == (PRO,)


async def test_who_is_asked_to_wait_waits_even_with_what_is_never_repeated(
    stand_in: PaddleStandIn, bought: str
) -> None:
    stand_in.plan(Fault(kind="busy", path="/subscriptions"))
    started = time.monotonic()
    await stand_in.api.change_price(bought, SCALE)
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("kind", ["error", "cut", "wrong", "lost"])
async def test_a_question_is_asked_again(stand_in: PaddleStandIn, bought: str, kind: Kind) -> None:
    stand_in.plan(Fault(kind=kind, path="/subscriptions", count=2))
    assert (await stand_in.api.get_subscription(bought)).id == bought
    assert stand_in.faults.met == 2


@pytest.mark.parametrize("kind", ["error", "busy", "cut", "wrong", "slow"])
async def test_a_person_does_not_wait_long(stand_in: PaddleStandIn, kind: Kind) -> None:
    stand_in.plan(Fault(kind=kind, count=1_000))
    hasty = HttpPaddle(stand_in.client, KEY, patience=timedelta(seconds=1))
    started = time.monotonic()
    with pytest.raises(PaddleAway) as away:
        await hasty.get_customer("ctm_1")
    assert time.monotonic() - started < 10
    assert away.value.retry_after is not None


async def test_nobody_at_home_is_away(stand_in: PaddleStandIn) -> None:
    async with httpx2.AsyncClient(base_url="http://127.0.0.1:9") as client:
        nobody = HttpPaddle(client, KEY, patience=timedelta(seconds=1))
        with pytest.raises(PaddleAway):
            await nobody.create_customer(EMAIL, "acc_1")
    assert _count(stand_in, "customer") == 0


async def test_a_price_is_known_while_paddle_is_away(
    stand_in: PaddleStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    price = await stand_in.api.price(PRO)
    assert (price.amount, price.currency) == (4_900, "USD")
    stand_in.plan(Fault(kind="error", count=1_000))
    assert await stand_in.api.price(PRO) == price
    assert stand_in.faults.met == 0
    monkeypatch.setattr("services.billing.adapters.paddle.api.PRICES_KEPT", timedelta(0))
    assert await stand_in.api.price(PRO) == price
    assert stand_in.faults.met > 0


async def test_everything_is_listed_page_by_page(
    stand_in: PaddleStandIn, bought: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.billing.adapters.paddle.api.PAGE", "1")
    await stand_in.api.change_price(bought, SCALE)
    await stand_in.api.change_price(bought, PRO)
    stand_in.plan(Fault(kind="cut", path="/transactions"))
    listed = [one.id async for one in stand_in.api.list_all("transaction")]
    assert listed == [one["id"] for one in stand_in.shop.store.all("transaction")]
    adjustments = [one async for one in stand_in.api.list_all("adjustment")]
    assert len(adjustments) == _count(stand_in, "adjustment") == 1
    found = await stand_in.api.find_entity("adjustment", adjustments[0].id)
    assert found == adjustments[0]
    assert await stand_in.api.find_entity("subscription", "sub_none") is None


async def test_an_invoice_has_a_pdf_once_it_is_one(
    stand_in: PaddleStandIn, customer: Customer
) -> None:
    url = await stand_in.api.create_checkout(_order(customer))
    transaction_id = url.rpartition("=")[2]
    assert await stand_in.api.invoice_pdf(transaction_id) is None
    stand_in.pay(url)
    link = await stand_in.api.invoice_pdf(transaction_id)
    assert link is not None
    assert (await stand_in.client.get(link)).content.startswith(b"%PDF-1.4")


async def test_neither_key_nor_person_is_logged(stand_in: PaddleStandIn) -> None:
    stranger = HttpPaddle(stand_in.client, Secret("canary-of-key"), patience=timedelta(seconds=1))
    with capture_logs() as lines:
        with pytest.raises(PaddleAway):
            await stranger.find_customer(EMAIL)
        with pytest.raises(DetailsRefused):
            await stand_in.api.create_customer("canary", "acc_1")
        stand_in.plan(Fault(kind="wrong", count=1))
        await stand_in.api.find_customer(EMAIL)
    events = {line["event"] for line in lines}
    assert events >= {"paddle_key_refused", "paddle_refused", "paddle_not_answering"}
    assert "canary" not in repr([{**line, "exc_info": None} for line in lines])
