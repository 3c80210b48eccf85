"""The stand-in speaks as Paddle does: its official SDK reads every answer and every webhook."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from paddle_billing.Client import Client
from paddle_billing.Entities.Event import Event
from paddle_billing.Entities.Shared import CountryCode, CustomData
from paddle_billing.Entities.Subscriptions import (
    SubscriptionEffectiveFrom,
    SubscriptionProrationBillingMode,
)
from paddle_billing.Entities.Subscriptions.SubscriptionResultAction import SubscriptionResultAction
from paddle_billing.Exceptions.ApiError import ApiError
from paddle_billing.Notifications.Entities.UndefinedEntity import UndefinedEntity
from paddle_billing.Notifications.Secret import Secret
from paddle_billing.Notifications.Verifier import Verifier
from paddle_billing.Options import Options
from paddle_billing.Resources.Addresses.Operations import CreateAddress
from paddle_billing.Resources.Businesses.Operations import CreateBusiness
from paddle_billing.Resources.CustomerPortalSessions.Operations import CreateCustomerPortalSession
from paddle_billing.Resources.Customers.Operations import CreateCustomer, UpdateCustomer
from paddle_billing.Resources.Subscriptions.Operations import (
    CancelSubscription,
    PreviewUpdateSubscription,
    UpdateSubscription,
)
from paddle_billing.Resources.Subscriptions.Operations.Update import SubscriptionUpdateItem
from paddle_billing.Resources.Transactions.Operations import CreateTransaction
from paddle_billing.Resources.Transactions.Operations.Create import TransactionCreateItem

from deploy.local.paddle.posting import sign
from deploy.local.paddle.steps import STEPS
from tests.support.paddle import KEY, PRO, SCALE, WEBHOOK_SECRET, PaddleStandIn, paddle


@pytest.fixture
async def stand_in() -> AsyncIterator[PaddleStandIn]:
    async with paddle() as running:
        yield running


@pytest.fixture
def sdk(stand_in: PaddleStandIn) -> Client:
    environment: Any = SimpleNamespace(base_url=stand_in.url)
    return Client(KEY.reveal(), Options(environment=environment))


async def _bought(sdk: Client) -> tuple[Any, Any]:
    """A customer and their transaction, paid."""
    return await asyncio.to_thread(_buy, sdk)


def _buy(sdk: Client) -> tuple[Any, Any]:
    customer = sdk.customers.create(CreateCustomer(email="who@example.com"))
    address = sdk.addresses.create(
        customer.id, CreateAddress(country_code=CountryCode("DE"), postal_code="10115")
    )
    business = sdk.businesses.create(
        customer.id, CreateBusiness(name="Acme", tax_identifier="DE136695976")
    )
    order = CreateTransaction(
        items=[TransactionCreateItem(price_id=PRO, quantity=1)],
        customer_id=customer.id,
        address_id=address.id,
        business_id=business.id,
        custom_data=CustomData({"account_id": "acc_1"}),
    )
    transaction = sdk.transactions.create(order)
    return customer, transaction


async def test_what_is_bought_is_read_by_the_sdk(stand_in: PaddleStandIn, sdk: Client) -> None:
    customer, transaction = await _bought(sdk)
    assert transaction.checkout.url == f"{stand_in.url}/checkout?_ptxn={transaction.id}"
    stand_in.shop.pay(stand_in.shop.transaction(transaction.id))

    paid = await asyncio.to_thread(sdk.transactions.get, transaction.id)
    assert paid.status.value == "completed"
    assert paid.details.totals.total == "4900"
    assert paid.invoice_number == "000-00001"
    [subscription] = list(await asyncio.to_thread(sdk.subscriptions.list))
    assert subscription.status.value == "active"
    assert subscription.custom_data.data == {"account_id": "acc_1"}
    assert subscription.items[0].price.id == PRO
    session = await asyncio.to_thread(
        sdk.customer_portal_sessions.create,
        customer.id,
        CreateCustomerPortalSession(subscription_ids=[subscription.id]),
    )
    page = await stand_in.client.get(session.urls.general.overview)
    assert page.status_code == 200
    assert "No money moves here" in page.text


async def test_a_subscription_is_changed_through_the_sdk(
    stand_in: PaddleStandIn, sdk: Client
) -> None:
    _, transaction = await _bought(sdk)
    bought = stand_in.shop.subscriptions.start(stand_in.shop.transaction(transaction.id))

    def change() -> None:
        items = [SubscriptionUpdateItem(price_id=SCALE, quantity=1)]
        mode = SubscriptionProrationBillingMode.ProratedImmediately
        preview = sdk.subscriptions.preview_update(
            bought["id"], PreviewUpdateSubscription(items=items, proration_billing_mode=mode)
        )
        assert preview.update_summary is not None
        assert preview.update_summary.result.action == SubscriptionResultAction.Charge
        assert preview.recurring_transaction_details.totals.total == "49900"
        changed = sdk.subscriptions.update(
            bought["id"], UpdateSubscription(items=items, proration_billing_mode=mode)
        )
        assert changed.items[0].price.id == SCALE
        cancelled = sdk.subscriptions.cancel(
            bought["id"],
            CancelSubscription(SubscriptionEffectiveFrom.NextBillingPeriod),
        )
        assert cancelled.scheduled_change.action.value == "cancel"
        kept = sdk.subscriptions.update(bought["id"], UpdateSubscription(scheduled_change=None))
        assert kept.scheduled_change is None
        assert len(list(sdk.transactions.list())) == 2
        assert {price.id for price in sdk.prices.list()} == {PRO, SCALE}

    await asyncio.to_thread(change)


async def test_lists_come_in_pages(stand_in: PaddleStandIn, sdk: Client) -> None:
    for number in range(7):
        stand_in.shop.people.create("customer", {"email": f"{number}@example.com"})
    seen: list[str] = []
    path = "/customers?per_page=3&order_by=id[DESC]"
    headers = {"authorization": f"Bearer {KEY.reveal()}"}
    while path:
        answer = (await stand_in.client.get(path, headers=headers)).json()
        seen += [customer["id"] for customer in answer["data"]]
        pagination = answer["meta"]["pagination"]
        path = pagination["next"].removeprefix(stand_in.url) if pagination["has_more"] else ""
    assert len(set(seen)) == len(seen) == 7
    assert len(list(await asyncio.to_thread(sdk.customers.list))) == 7


async def test_every_webhook_of_a_life_is_one_that_the_sdk_knows(
    stand_in: PaddleStandIn, sdk: Client
) -> None:
    customer, transaction = await _bought(sdk)
    await asyncio.to_thread(sdk.customers.update, customer.id, UpdateCustomer(name="Who"))
    shop = stand_in.shop
    subscription = shop.subscriptions.start(shop.transaction(transaction.id))
    shop.refund(shop.transaction(transaction.id))
    for step in ("cancel", "keep", "fail-next", "next-period", "pay", "pause", "resume", "end"):
        STEPS[step].do(shop, shop.subscriptions.get(subscription["id"]))
    events = stand_in.events()
    times = [event["occurred_at"] for event in events]
    assert times == sorted(set(times))
    kinds = set()
    for event in events:
        read = Event.from_dict(event)
        assert not isinstance(read.data, UndefinedEntity)
        assert read.occurred_at <= datetime.now(UTC)
        kinds.add(read.event_type.value)
    assert kinds >= {
        "customer.created", "customer.updated", "address.created", "business.created",
        "transaction.created", "transaction.paid", "transaction.completed",
        "transaction.payment_failed", "transaction.past_due", "subscription.created",
        "subscription.activated", "subscription.updated", "subscription.past_due",
        "subscription.paused", "subscription.resumed", "subscription.canceled",
        "adjustment.created",
    }  # fmt: skip


def test_the_sdk_takes_its_signatures() -> None:
    body = b'{"event_id": "evt_1"}'
    header = sign(body, WEBHOOK_SECRET, int(datetime.now(UTC).timestamp()))
    request = SimpleNamespace(headers={"Paddle-Signature": header}, body=body)
    assert Verifier().verify(request, Secret(WEBHOOK_SECRET.reveal()))


async def test_refusals_are_read_by_the_sdk(sdk: Client) -> None:
    def refused(call: Any, *arguments: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            call(*arguments)
        return caught.value

    missing = await asyncio.to_thread(refused, sdk.subscriptions.get, "sub_none")
    assert missing.error_code == "not_found"
    wrong = await asyncio.to_thread(refused, sdk.customers.create, CreateCustomer(email="no"))
    assert [fault.field for fault in wrong.field_errors] == ["email"]


async def test_nothing_is_told_to_who_has_no_key(stand_in: PaddleStandIn) -> None:
    answer: httpx2.Response = await stand_in.client.get("/customers")
    assert answer.status_code == 403
