"""What Paddle, or a proxy before it, says and cannot mean: refused, kept, and in nobody's way."""

import asyncio
from datetime import timedelta
from typing import Final

import asyncpg
import httpx2
import msgspec
import pytest

from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.billing import PlanChanged
from libs.common.contracts.plans import PlanName
from libs.common.errors import Unavailable
from libs.common.settings import Secret
from services.billing.adapters.paddle import HttpPaddle
from services.billing.domain.paddle import PaddleAway
from services.billing.ports import Ports
from services.billing.repositories.entities import EntityRepository
from services.billing.use_cases import accounts, plans, processing
from tests.support.frozen_clock import FrozenClock
from tests.support.paddle_events import (
    PRICES,
    at,
    customer,
    event,
    event_time,
    scheduled,
    subscription,
)
from tests.support.paddle_inbox import deliver, process_all, rows, states, tell, told

FAR: Final = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1999-12-31T23:59:59Z")


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


@pytest.mark.parametrize("when", FAR)
async def test_an_event_of_no_time_is_kept_as_unreadable(sold: Ports, when: str) -> None:
    good = event("customer.created", customer(), at())
    odd = good.replace(event_time(at()).encode(), when.encode(), 1)
    assert odd != good

    await tell(sold, odd, good)

    assert sorted((await states(sold)).values()) == ["applied", "unreadable"]


async def test_a_subscription_of_no_time_is_given_up_and_stops_no_other(
    sold: Ports, clock: FrozenClock
) -> None:
    odd = subscription(1, started_at=FAR[1])
    await deliver(sold, event("subscription.created", odd, at(), "evt_odd"))
    await tell(sold, event("subscription.created", subscription(2), at(), "evt_good"))
    for _ in range(6):
        clock.advance(timedelta(hours=1))
        await process_all(sold)

    assert await states(sold) == {"evt_odd": "failed", "evt_good": "applied"}


async def test_an_account_whose_plan_cannot_be_worked_out_keeps_no_other_waiting(
    sold: Ports, clock: FrozenClock, billing_address: str
) -> None:
    for number in (1, 2):
        ends = subscription(number, scheduled_change=scheduled("cancel", at(days=30)))
        await tell(sold, event("subscription.created", ends, at()))
    connection = await asyncpg.connect(billing_address)
    try:  # as a later release would have left it, which was taken back
        await connection.execute(
            "UPDATE billing_accounts SET plan = 'gold' WHERE account_id = 'acc_1'"
        )
    finally:
        await connection.close()
    clock.advance(timedelta(days=31))

    with pytest.raises(ExceptionGroup):
        await plans.refresh_due(sold)

    fell = PlanChanged(account_id="acc_2", plan=PlanName.FREE, anchor_day=1, version=2)
    assert (await told(sold))[-1] == fell


def _paddle(answer: httpx2.Response) -> HttpPaddle:
    """It says nothing else."""
    always = httpx2.MockTransport(lambda _: answer)
    client = httpx2.AsyncClient(transport=always, base_url="https://paddle")
    return HttpPaddle(client, Secret("key"), patience=timedelta(seconds=1))


async def test_an_account_that_somebody_holds_costs_its_webhooks_no_try(sold: Ports) -> None:
    await deliver(sold, event("subscription.created", subscription(1), at()))
    async with sold.db.transaction() as tx:
        await EntityRepository(tx).lock_accounts(["acc_1"])
        with pytest.raises(Unavailable):
            await processing.process(sold)

    [webhook] = await rows(sold, "webhooks")
    assert (webhook["state"], webhook["tries"]) == ("waiting", 0)
    await process_all(sold)
    assert set((await states(sold)).values()) == {"applied"}


@pytest.mark.parametrize(
    "seconds", ["²", "9" * 30, "-1", "1e9", "99999999"], ids=["power", "many", "past", "e", "years"]
)
async def test_a_wait_that_nobody_can_mean_is_none(seconds: str) -> None:
    busy = httpx2.Response(429, headers=[(b"retry-after", seconds.encode("latin-1"))])
    with pytest.raises(PaddleAway) as away:
        await _paddle(busy).get_customer("ctm_1")
    assert away.value.retry_after is not None
    assert away.value.retry_after <= timedelta(hours=1)


@pytest.mark.parametrize(
    "following", [None, "https://paddle/subscriptions", "https://paddle/subscriptions?after=sub_1"]
)
async def test_a_list_that_leads_nowhere_ends(following: str | None) -> None:
    page = {
        "data": [{"id": "sub_1", "created_at": "2026-03-01T12:00:00Z"}],
        "meta": {"pagination": {"has_more": True, "next": following}},
    }
    listing = _paddle(httpx2.Response(200, json=page)).list_all("subscription")

    async def read() -> None:
        async for _ in listing:
            pass

    async with asyncio.timeout(30):
        with pytest.raises(PaddleAway):
            await read()
