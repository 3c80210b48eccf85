"""A deleted account: names and addresses go, invoices stay, and nothing is paid any more."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from libs.common import retention
from libs.common.clock import SystemClock
from libs.common.contracts.accounts import AccountCreated, AccountDeleted
from services.billing.ports import Ports
from services.billing.repositories.entities import EntityRepository
from services.billing.repositories.invoices import InvoiceRepository
from services.billing.repositories.webhooks import WebhookRepository
from services.billing.use_cases import accounts
from services.billing.use_cases.retention import sweep
from tests.support import catalogue
from tests.support.frozen_clock import FrozenClock
from tests.support.paddle import PaddleStandIn, paddle
from tests.support.paddle_events import (
    PRICES,
    address,
    adjustment,
    at,
    business,
    customer,
    event,
    subscription,
    transaction,
)
from tests.support.paddle_inbox import deliver, process_all, rows, tell, told

GONE = AccountDeleted(account_id="acc_1", project_ids=())
CANARIES = ("canary1@example.com", "Canary GmbH", "DE111111125", "34117-canary", "Canary-Brown")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(at(hours=1))


@pytest.fixture
async def sold(ports: Ports, clock: FrozenClock) -> Ports:
    made = msgspec.structs.replace(ports, prices=PRICES, clock=clock)
    for number in (1, 2):
        opened = AccountCreated(account_id=f"acc_{number}", plan="free")
        await accounts.open_books(made, opened)
    return made


def all_of(number: int) -> list[bytes]:
    return [
        event("customer.created", customer(number), at()),
        event("address.created", address(number), at()),
        event("business.created", business(number), at()),
        event("subscription.created", subscription(number), at()),
        event("transaction.completed", transaction(number), at()),
        event("adjustment.created", adjustment(number), at()),
    ]


def left(text: str) -> list[str]:
    """Also of what is kept as bytes, which the catalogue shows as digits."""
    return [one for one in CANARIES if one in text or one.encode().hex() in text]


async def test_names_go_and_amounts_and_countries_stay(sold: Ports, billing_address: str) -> None:
    await tell(sold, *all_of(1))
    assert left(await catalogue.text_of(billing_address))

    await accounts.close_books(sold, GONE)

    assert left(await catalogue.text_of(billing_address)) == []
    [invoice] = await rows(sold, "transactions")
    assert (invoice["invoice_number"], invoice["total"], invoice["billed_at"]) == (
        "325-1", 4900, at(),
    )  # fmt: skip
    assert [row["country"] for row in await rows(sold, "addresses")] == ["DE"]
    assert [row["body"] for row in await rows(sold, "webhooks")] == [None] * 6
    assert len(await rows(sold, "adjustments")) == 1


async def test_whom_somebody_typed_at_a_checkout_and_never_paid_goes_too(
    sold: Ports, billing_address: str
) -> None:
    unpaid = transaction(1, "ready", billed_at=None, invoice_number=None, subscription_id=None)
    await tell(
        sold,
        event("customer.created", customer(1), at()),
        event("transaction.updated", unpaid, at(minutes=1)),
    )
    assert left(await catalogue.text_of(billing_address))

    await accounts.close_books(sold, GONE)

    assert left(await catalogue.text_of(billing_address)) == []


async def test_what_comes_after_it_leaves_nothing_either(sold: Ports, billing_address: str) -> None:
    await deliver(sold, *all_of(1))
    await accounts.close_books(sold, GONE)
    assert left(await catalogue.text_of(billing_address))

    await process_all(sold)
    await tell(sold, event("customer.updated", customer(1), at(minutes=5)))

    assert left(await catalogue.text_of(billing_address)) == []
    assert await told(sold) == []


async def test_what_could_not_be_read_goes_where_it_names_the_account(
    sold: Ports, clock: FrozenClock, billing_address: str
) -> None:
    wrong = event(
        "customer.updated", customer(1, status=7, custom_data={"account_id": "acc_1"}), at()
    )
    await deliver(sold, wrong)
    for _ in range(6):
        await process_all(sold)
        clock.advance(timedelta(hours=1))
    assert [row["state"] for row in await rows(sold, "webhooks")] == ["failed"]

    await accounts.close_books(sold, GONE)

    assert left(await catalogue.text_of(billing_address)) == []


async def test_others_keep_theirs_also_a_customer_whom_both_are(sold: Ports) -> None:
    shared = subscription(2, customer_id=customer(1)["id"])
    await tell(sold, *all_of(1), event("subscription.created", shared, at()))

    await accounts.close_books(sold, GONE)

    assert [row["email"] for row in await rows(sold, "customers")] == ["canary1@example.com"]


@pytest.fixture
async def stand_in() -> AsyncIterator[PaddleStandIn]:
    async with paddle() as made:
        yield made


async def test_what_it_still_buys_is_ended_at_paddle_until_that_says_so(
    sold: Ports, clock: FrozenClock, stand_in: PaddleStandIn
) -> None:
    selling = msgspec.structs.replace(sold, paddle=stand_in.api)
    await tell(selling, *all_of(1), *all_of(2))
    await accounts.close_books(selling, GONE)

    assert await accounts.end_bought(selling) == 1
    assert await accounts.end_bought(selling) == 0  # it was asked a moment ago
    clock.advance(accounts.ASK_AGAIN)
    assert await accounts.end_bought(selling) == 1

    over = subscription(1, "canceled", canceled_at="2026-03-01T13:00:00Z")
    await tell(selling, event("subscription.canceled", over, at(hours=1)))
    clock.advance(accounts.ASK_AGAIN)
    assert await accounts.end_bought(selling) == 0


async def test_what_is_over_goes_and_what_is_not_stays(sold: Ports, clock: FrozenClock) -> None:
    stranger = customer(3)
    draft = transaction(2, "draft", id="txn_draft", billed_at=None)
    await tell(
        sold,
        *all_of(1),
        event("customer.created", stranger, at()),
        event("transaction.created", draft, at()),
    )
    await sweep(sold)
    assert len(await rows(sold, "webhooks")) == 8

    clock.advance(retention.WEBHOOKS + timedelta(days=1))
    await sweep(sold)

    assert await rows(sold, "webhooks") == []
    assert [row["id"] for row in await rows(sold, "customers")] == [customer(1)["id"]]
    assert [row["id"] for row in await rows(sold, "transactions")] == [transaction(1)["id"]]


async def test_nothing_is_dropped_before_its_time_whatever_is_asked(ports: Ports) -> None:
    """The database looks at its own clock: here everything came just now."""
    now = msgspec.structs.replace(ports, clock=SystemClock())
    recent = event("customer.created", customer(1), datetime.now(UTC))
    await deliver(now, recent)
    await process_all(now)

    async with ports.db.transaction() as tx:
        ahead = datetime.now(UTC) + timedelta(days=10_000)
        assert await WebhookRepository(tx).drop_old(ahead, 10) == 0
        assert await EntityRepository(tx).drop_strangers(ahead, 10) == 0
        assert await InvoiceRepository(tx).drop_old(ahead, ahead, 10) == 0
