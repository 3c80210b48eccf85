"""What webhooks say is taken over: in any order, once, whatever becomes of the others."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.billing import PaymentFailed, PlanChanged, SubscriptionEnded
from libs.common.contracts.plans import PlanName
from services.billing.ports import Ports
from services.billing.use_cases import accounts, plans, processing
from tests.support.frozen_clock import FrozenClock
from tests.support.paddle_events import (
    PRICES,
    SCALE_MONTHLY,
    address,
    at,
    customer,
    event,
    scheduled,
    subscription,
    transaction,
)
from tests.support.paddle_inbox import deliver, process_all, rows, states, tell, told


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(at(hours=1))


@pytest.fixture
def sold(ports: Ports, clock: FrozenClock) -> Ports:
    """Where something is sold."""
    return msgspec.structs.replace(ports, prices=PRICES, clock=clock)


async def opened(sold: Ports, *numbers: int, plan: str = "free") -> None:
    for number in numbers:
        await accounts.open_books(sold, AccountCreated(account_id=f"acc_{number}", plan=plan))


async def plan_of(sold: Ports, number: int = 1) -> tuple[str, int, int]:
    books = {row["account_id"]: row for row in await rows(sold, "billing_accounts")}
    row = books[f"acc_{number}"]
    return row["effective_plan"], row["anchor_day"], row["plan_version"]


def changed(plan: PlanName, version: int, number: int = 1) -> PlanChanged:
    return PlanChanged(account_id=f"acc_{number}", plan=plan, anchor_day=1, version=version)


def of_subscription(status: str, name: str, *, when: Any, **changes: Any) -> bytes:
    return event(f"subscription.{name}", subscription(1, status, **changes), when)


async def test_who_buys_has_the_plan_and_it_is_told(sold: Ports) -> None:
    await opened(sold, 1)

    await tell(sold, of_subscription("active", "created", when=at()))

    assert await plan_of(sold) == ("pro", 1, 1)
    assert await told(sold) == [changed(PlanName.PRO, 1)]


async def test_an_event_that_comes_late_changes_nothing(sold: Ports) -> None:
    await opened(sold, 1)
    late = of_subscription("active", "created", when=at())
    await tell(sold, of_subscription("canceled", "canceled", when=at(minutes=5)))

    await tell(sold, late)

    assert (await rows(sold, "subscriptions"))[0]["state"] == "canceled"
    assert sorted((await states(sold)).values()) == ["applied", "older"]


async def test_of_two_events_of_one_moment_the_greater_id_stands(sold: Ports) -> None:
    first = event("subscription.updated", subscription(1, "active"), at(), "evt_1")
    second = event("subscription.updated", subscription(1, "paused"), at(), "evt_2")

    await tell(sold, second)
    await tell(sold, first)

    assert (await rows(sold, "subscriptions"))[0]["state"] == "paused"


async def test_an_unknown_type_is_kept_and_nothing_more(sold: Ports) -> None:
    body = event("payout.paid", {"id": "pay_1", "status": "paid"}, at(), "evt_1")

    await tell(sold, body)

    assert await states(sold) == {"evt_1": "unknown"}


async def test_what_comes_before_its_account_waits_for_it(sold: Ports) -> None:
    await tell(sold, of_subscription("active", "created", when=at()))
    assert await told(sold) == []

    await opened(sold, 1)

    assert await told(sold) == [changed(PlanName.PRO, 1)]


async def test_what_names_no_account_is_its_customers(sold: Ports) -> None:
    await opened(sold, 1)
    nameless = subscription(1, "active", custom_data=None)
    await tell(sold, event("subscription.created", nameless, at()))
    assert await told(sold) == []

    await tell(sold, event("transaction.completed", transaction(1), at(minutes=1)))

    assert await told(sold) == [changed(PlanName.PRO, 1)]


async def test_custom_data_of_strangers_is_no_account(sold: Ports) -> None:
    odd: list[Any] = [
        None,
        [],
        "acc_1",
        {"account_id": 7},
        {"account_id": "a" * 41},
        {"account_id": "ä b"},
    ]
    bodies = [
        event("customer.created", customer(number, custom_data=data), at(), f"evt_{number}")
        for number, data in enumerate(odd)
    ]

    await tell(sold, *bodies)

    assert set((await states(sold)).values()) == {"applied"}
    assert await rows(sold, "customer_links") == []


async def test_one_that_can_never_be_taken_over_stops_no_other(
    sold: Ports, clock: FrozenClock
) -> None:
    await opened(sold, 1)
    bad = event("subscription.updated", {"id": "sub_x"}, at(), "evt_bad")
    good = of_subscription("active", "created", when=at())

    await tell(sold, bad, good)

    assert await plan_of(sold) == ("pro", 1, 1)
    for _ in range(processing.TRIES):
        clock.advance(timedelta(hours=1))
        await process_all(sold)
    assert (await states(sold))["evt_bad"] == "failed"
    [row] = [row for row in await rows(sold, "webhooks") if row["event_id"] == "evt_bad"]
    assert (row["tries"], row["error_code"]) == (5, "Unreadable")
    assert (await processing.try_again(sold)).count == 1


@pytest.mark.fault(75)
async def test_an_event_that_comes_five_times_at_once_has_one_effect(sold: Ports) -> None:
    await opened(sold, 1)
    body = of_subscription("active", "created", when=at())

    await asyncio.gather(*(deliver(sold, body) for _ in range(5)))
    await asyncio.gather(*(processing.process(sold) for _ in range(5)))

    assert await told(sold) == [changed(PlanName.PRO, 1)]
    assert len(await rows(sold, "webhooks")) == 1
    assert len(await rows(sold, "subscription_moves")) == 1


async def test_grace_is_seven_days_from_the_first_unpaid_event(
    sold: Ports, clock: FrozenClock
) -> None:
    await opened(sold, 1)
    await tell(
        sold,
        of_subscription("past_due", "updated", when=at(days=33)),
        of_subscription("active", "created", when=at()),
        of_subscription("past_due", "past_due", when=at(days=31)),
    )
    clock.advance(timedelta(days=37, hours=22, minutes=59))  # a minute before the seven days are up
    await plans.refresh_due(sold)
    assert await plan_of(sold) == ("pro", 1, 1)

    clock.advance(timedelta(minutes=1))
    assert await plans.refresh_due(sold) == 1

    assert await plan_of(sold) == ("free", 1, 2)
    assert await plans.refresh_due(sold) == 0


async def test_who_pays_after_the_grace_has_the_plan_again(sold: Ports, clock: FrozenClock) -> None:
    await opened(sold, 1)
    await tell(sold, of_subscription("past_due", "past_due", when=at()))
    clock.advance(timedelta(days=8))
    await plans.refresh_due(sold)

    await tell(sold, of_subscription("active", "updated", when=at(days=8)))

    assert [one.plan for one in await told(sold)] == ["pro", "free", "pro"]  # type: ignore[attr-defined]


async def test_a_cancelled_subscription_gives_its_plan_to_the_end_of_the_period(
    sold: Ports, clock: FrozenClock
) -> None:
    await opened(sold, 1)
    ending = scheduled("cancel", at(days=31))
    await tell(
        sold,
        of_subscription("active", "created", when=at()),
        of_subscription("active", "updated", when=at(days=1), scheduled_change=ending),
    )
    clock.advance(timedelta(days=30, hours=22))
    assert await plans.refresh_due(sold) == 0

    clock.advance(timedelta(hours=1))
    await plans.refresh_due(sold)
    assert await plan_of(sold) == ("free", 1, 2)

    over = of_subscription(
        "canceled", "canceled", when=at(days=31), canceled_at="2026-04-01T12:00:00Z"
    )
    await tell(sold, over, event("subscription.updated", subscription(1, "canceled"), at(days=32)))
    ended = SubscriptionEnded(
        account_id="acc_1",
        subscription_id=subscription(1)["id"],
        ended_plan=PlanName.PRO,
        plan=PlanName.FREE,
    )
    assert await told(sold) == [changed(PlanName.PRO, 1), changed(PlanName.FREE, 2), ended]


async def test_of_two_subscriptions_the_better_one_counts(sold: Ports) -> None:
    await opened(sold, 1)
    other = subscription(2, price_id=SCALE_MONTHLY, custom_data={"account_id": "acc_1"})

    await tell(sold, of_subscription("active", "created", when=at()))
    await tell(sold, event("subscription.created", other, at(minutes=1)))
    assert (await plan_of(sold))[0] == "scale"
    await tell(sold, event("subscription.canceled", other | {"status": "canceled"}, at(minutes=2)))

    assert (await plan_of(sold))[0] == "pro"


async def test_what_is_granted_is_the_floor(sold: Ports) -> None:
    await opened(sold, 1, plan="scale")
    await tell(sold, of_subscription("active", "created", when=at()))
    assert (await plan_of(sold))[0] == "scale"

    await plans.grant(sold, "acc_1", PlanName.FREE)
    assert (await plan_of(sold))[0] == "pro"
    await plans.grant(sold, "acc_1", PlanName.OPERATOR)

    assert (await plan_of(sold))[0] == "operator"


async def test_periods_begin_on_the_day_on_which_the_subscription_did(sold: Ports) -> None:
    await opened(sold, 1)
    began = "2026-02-28T23:30:00Z"

    await tell(sold, of_subscription("active", "created", when=at(), started_at=began))
    await tell(sold, of_subscription("canceled", "canceled", when=at(days=1), started_at=began))

    assert await plan_of(sold) == ("free", 28, 2)


def failing(**changes: Any) -> bytes:
    unpaid = {"status": "past_due", "invoice_number": None} | changes
    return event("transaction.payment_failed", transaction(1, **unpaid), at(days=31))


async def test_a_failed_payment_is_told_once(sold: Ports) -> None:
    await opened(sold, 1)
    await tell(sold, of_subscription("past_due", "past_due", when=at(days=30)), failing())

    again = transaction(1, "past_due", 4900)
    await tell(sold, event("transaction.payment_failed", again, at(days=34)))

    failures = [one for one in await told(sold) if isinstance(one, PaymentFailed)]
    assert failures == [
        PaymentFailed(
            account_id="acc_1",
            transaction_id=transaction(1)["id"],
            amount=4900,
            currency="USD",
            grace_ends_at=at(days=37),
        )
    ]


@pytest.mark.parametrize(
    "later",
    [
        event("transaction.completed", transaction(1), at(days=32)),
        event("subscription.updated", subscription(1, "active"), at(days=32)),
    ],
    ids=["paid", "active again"],
)
async def test_a_failure_that_is_made_good_already_is_not_told(sold: Ports, later: bytes) -> None:
    await opened(sold, 1)
    await tell(sold, later)

    await tell(sold, failing())

    assert not any(isinstance(one, PaymentFailed) for one in await told(sold))


async def test_a_card_declined_at_the_checkout_is_no_failed_payment(sold: Ports) -> None:
    await opened(sold, 1)

    await tell(sold, failing(subscription_id=None, status="ready"))

    assert await told(sold) == []


async def test_of_customers_only_what_invoices_need_is_kept(sold: Ports) -> None:
    await tell(
        sold,
        event("customer.created", customer(1), at()),
        event("address.created", address(1), at()),
    )

    [kept] = await rows(sold, "customers")
    assert {"id", "occurred_at", "event_id", "email", "state"} == set(kept)
    assert "Canary Lane" not in str(await rows(sold, "addresses"))
