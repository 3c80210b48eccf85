"""What accounts is told of an account's plan, use and money, and who may ask."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, cast

import httpx2
import msgspec
import pytest

from libs.common.contracts import billing as contract
from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.billing import BillingAnswer, InvoiceLine, Money, TaxDetails
from libs.common.settings import Secret
from services.billing import app
from services.billing.ports import Ports
from services.billing.settings import Settings
from services.billing.use_cases import accounts
from tests.support.frozen_clock import FrozenClock
from tests.support.paddle_events import (
    PRICES,
    address,
    adjustment,
    at,
    business,
    customer,
    event,
    scheduled,
    subscription,
    transaction,
)
from tests.support.paddle_inbox import tell
from tests.support.service_keys import ServiceKey

PATH = contract.billing_path("acc_1")


@pytest.fixture
def sold(ports: Ports) -> Ports:
    return msgspec.structs.replace(ports, prices=PRICES, clock=FrozenClock(at(hours=1)))


ACCOUNTS, GATEWAY = ServiceKey("accounts"), ServiceKey("gateway")


@pytest.fixture
async def web(sold: Ports, database_url: Secret) -> AsyncIterator[httpx2.AsyncClient]:
    keys = {key.key_id: key.public for key in (ACCOUNTS, GATEWAY)}
    given = Settings(
        database_url=database_url, broker_url=Secret("amqp://none"), service_public_keys=keys
    )
    transport = httpx2.ASGITransport(cast("Any", app.make_web(given, sold)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://billing") as client:
        yield client


Ask = Callable[..., Any]


@pytest.fixture
def ask(web: httpx2.AsyncClient, sold: Ports) -> Ask:
    async def call(method: str = "GET", path: str = PATH, body: object = None) -> httpx2.Response:
        headers = ACCOUNTS.headers(contract.AUDIENCE, sold.clock)
        return await web.request(method, path, headers=headers, json=body)

    return call


@pytest.fixture
def see(ask: Ask) -> Callable[[], Any]:
    async def call() -> BillingAnswer:
        answer = await ask()
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=BillingAnswer)

    return call


@pytest.fixture
async def _opened(sold: Ports) -> None:
    await accounts.open_books(sold, AccountCreated(account_id="acc_1", plan="free"))


async def test_only_accounts_may_ask(web: httpx2.AsyncClient, sold: Ports) -> None:
    strange = GATEWAY.headers(contract.AUDIENCE, sold.clock)
    elsewhere = ACCOUNTS.headers("accounts", sold.clock)

    assert (await web.get(PATH)).status_code == 401
    assert (await web.get(PATH, headers=elsewhere)).status_code == 401
    assert (await web.get(PATH, headers=strange)).status_code == 403


async def test_until_the_books_are_open_there_is_nothing_to_tell(ask: Ask) -> None:
    answer = await ask()

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "billing_account_not_found"


@pytest.mark.usefixtures("_opened")
async def test_who_bought_nothing_is_on_what_was_granted(see: Callable[[], Any]) -> None:
    answer = await see()

    assert (answer.plan, answer.subscription, answer.next_plan) == ("free", None, None)
    assert (answer.is_sold, answer.offers, answer.invoices) == (False, (), ())
    assert answer.details == TaxDetails()
    assert answer.usage.allowed == 1_000


@pytest.mark.usefixtures("_opened")
async def test_who_bought_sees_plan_period_price_invoices_and_details(
    sold: Ports, see: Callable[[], Any]
) -> None:
    await tell(
        sold,
        event("customer.created", customer(), at()),
        event("address.created", address(), at()),
        event("business.created", business(), at()),
        event(
            "subscription.created",
            subscription(business_id=business()["id"]),
            at(),
        ),
        event("transaction.completed", transaction(), at()),
        event("transaction.created", transaction(2, "ready", billed_at=None), at()),
    )

    answer = await see()

    bought = answer.subscription
    assert (answer.plan, bought.plan, bought.state) == ("pro", "pro", "active")
    assert bought.price == Money(amount=4900, currency="USD")
    assert (bought.started_at, bought.pays_until) == (at(), at(days=31))
    assert (bought.ends_at, bought.grace_ends_at, answer.next_plan) == (None, None, None)
    assert answer.details == TaxDetails(
        email="canary1@example.com",
        business_name="Canary GmbH",
        tax_id="DE111111125",
        country="DE",
        postal_code="34117-canary",
    )
    [invoice] = answer.invoices
    assert (invoice.number, invoice.state, invoice.currency) == ("325-1", "completed", "USD")
    assert (invoice.subtotal, invoice.tax, invoice.total) == (4410, 490, 4900)
    assert (invoice.credited, invoice.has_pdf) == (0, True)
    assert invoice.lines == (InvoiceLine(description="ReqRun Pro", quantity=1, total=4900),)


@pytest.mark.usefixtures("_opened")
async def test_only_what_was_approved_counts_as_given_back(
    sold: Ports, see: Callable[[], Any]
) -> None:
    told = [
        adjustment(1, "refund", "approved"),
        adjustment(1, "refund", "pending_approval", id="adj_2"),
        adjustment(1, "refund", "rejected", id="adj_3"),
        adjustment(1, "credit", "approved", id="adj_4"),
        adjustment(1, "chargeback", "approved", id="adj_5"),
        adjustment(1, "chargeback_reverse", "approved", id="adj_6"),
        adjustment(1, "chargeback_warning", "approved", id="adj_7"),
        adjustment(1, "refund", "reversed", id="adj_8"),
    ]
    await tell(
        sold,
        *(event("adjustment.created", one, at()) for one in told),
        event("transaction.completed", transaction(), at()),
    )

    assert [invoice.credited for invoice in (await see()).invoices] == [2_000]


@pytest.mark.usefixtures("_opened")
async def test_who_cancelled_sees_until_when_and_what_follows(
    sold: Ports, see: Callable[[], Any]
) -> None:
    ending = scheduled("cancel", at(days=31))
    await tell(sold, event("subscription.updated", subscription(scheduled_change=ending), at()))

    answer = await see()

    assert (answer.plan, answer.next_plan) == ("pro", "free")
    assert answer.subscription.ends_at == at(days=31)


@pytest.mark.usefixtures("_opened")
async def test_who_did_not_pay_sees_how_long_that_is_borne(
    sold: Ports, see: Callable[[], Any]
) -> None:
    await tell(sold, event("subscription.past_due", subscription(1, "past_due"), at()))

    answer = await see()

    assert (answer.plan, answer.subscription.state) == ("pro", "past_due")
    assert answer.subscription.grace_ends_at == at() + timedelta(days=7)


@pytest.mark.usefixtures("_opened")
async def test_an_account_sees_nothing_of_another(sold: Ports, see: Callable[[], Any]) -> None:
    await tell(
        sold,
        event("customer.created", customer(2), at()),
        event("subscription.created", subscription(2), at()),
        event("transaction.completed", transaction(2), at()),
    )

    answer = await see()

    assert (answer.plan, answer.subscription, answer.invoices) == ("free", None, ())
    assert answer.details == TaxDetails()


@pytest.mark.usefixtures("_opened")
async def test_the_operators_word_is_answered_with_what_it_makes(ask: Ask) -> None:
    answer = await ask("PUT", contract.grant_path("acc_1"), {"plan": "scale"})
    wrong = await ask("PUT", contract.grant_path("acc_1"), {"plan": "gold"})
    nobody = await ask("PUT", contract.grant_path("acc_2"), {"plan": "scale"})

    assert (answer.status_code, answer.json()["plan"]) == (200, "scale")
    assert (wrong.status_code, nobody.status_code) == (400, 404)


@pytest.mark.usefixtures("_opened")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", contract.checkout_path("acc_1"),
         {"plan": "pro", "email": "a@example.com", "return_url": "http://dashboard"}),
        ("POST", contract.portal_path("acc_1"), None),
        ("POST", contract.plan_change_path("acc_1"), {"plan": "pro"}),
        ("POST", contract.cancel_path("acc_1"), {}),
        ("PUT", contract.details_path("acc_1"), {}),
        ("GET", contract.invoice_path("acc_1", "txn_1"), None),
    ],
    ids=["checkout", "portal", "plan change", "cancel", "details", "invoice"],
)  # fmt: skip
async def test_where_nothing_is_sold_nothing_can_be_bought(
    ask: Ask, method: str, path: str, body: object
) -> None:
    answer = await ask(method, path, body)

    assert answer.status_code in {403, 404, 409}, answer.text
    assert answer.json()["error"]["code"] == "nothing_sold"
