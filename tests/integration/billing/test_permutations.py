"""Events in random order, each up to three times, end in the state of the ordered history.

Whoever processes dies in between, again and again; the deliverer goes on meanwhile. What must come
out is known twice: by what the same product makes of the ordered history in one go, and by what
`paddle_histories` says without it.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.billing import PaymentFailed, PlanChanged, SubscriptionEnded
from libs.common.database import Database
from libs.common.errors import Unavailable
from services.billing.ports import Ports
from services.billing.use_cases import accounts, plans
from services.billing.use_cases.webhooks import Door
from tests.support.frozen_clock import FrozenClock
from tests.support.paddle_events import PRICES, SECRET, signature
from tests.support.paddle_histories import ENDS_AT, History, histories
from tests.support.paddle_inbox import process_all, rows, told
from tests.support.service_database import ServiceDatabase

Opening = Callable[[], AbstractAsyncContextManager[Ports]]

TABLES = (
    "customers", "customer_links", "addresses", "businesses", "subscriptions",
    "subscription_moves", "transactions", "adjustments", "billing_accounts",
)  # fmt: skip
# When and how often something was told follows the order; what was told last does not.
OF_THE_WAY = {"plan_version", "ended_told_at", "failure_told_at"}


@pytest.fixture
def opening(billing_template: ServiceDatabase) -> Opening:
    @asynccontextmanager
    async def make() -> AsyncIterator[Ports]:
        with billing_template.lent() as address:
            async with Database(billing_template.url(address), application="test") as db:
                yield Ports(db=db, clock=FrozenClock(ENDS_AT), prices=PRICES)

    return make


async def contents(ports: Ports) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [
            {name: value for name, value in row.items() if name not in OF_THE_WAY}
            for row in await rows(ports, table)
        ]
        for table in TABLES
    }


async def open_books(ports: Ports, all_histories: list[History]) -> None:
    for history in all_histories:
        event = AccountCreated(account_id=history.account_id, plan="free")
        await accounts.open_books(ports, event)


async def of_the_ordered(opening: Opening, all_histories: list[History]) -> dict[str, Any]:
    async with opening() as ports:
        await open_books(ports, all_histories)
        bodies = [body for history in all_histories for body in history.bodies]
        await deliver_many(ports, bodies)
        await process_all(ports)
        return await contents(ports)


async def deliver_many(ports: Ports, bodies: list[bytes]) -> None:
    """As Paddle does: several at once, and again what was not answered with 200."""
    door = Door(ports, [SECRET])

    async def send(body: bytes) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                return await door.take(signature(body, ports.clock.now()), body)

    for first in range(0, len(bodies), 100):
        await asyncio.gather(*(send(body) for body in bodies[first : first + 100]))


async def process_and_die(ports: Ports, chance: Random) -> None:
    """Two workers, cut wherever they are, which is mostly in the middle of a transaction."""
    workers = [asyncio.create_task(process_all(ports)) for _ in range(2)]
    for _ in range(chance.randrange(1, 400)):
        await asyncio.sleep(0)
    for worker in workers:
        worker.cancel()
    for worker in workers:
        with contextlib.suppress(asyncio.CancelledError):
            await worker


async def permute(ports: Ports, all_histories: list[History], chance: Random) -> int:
    """Deliver in random order, one to three times each, with crashes; how many deliveries."""
    sent = [
        body for one in all_histories for body in one.bodies for _ in range(chance.randint(1, 3))
    ]
    chance.shuffle(sent)
    opened_at = chance.randrange(len(sent))
    step = max(100, len(sent) // 12)
    for first in range(0, len(sent), step):
        if first <= opened_at < first + step:
            await open_books(ports, all_histories)  # somewhere in between, as facts have no order
        await deliver_many(ports, sent[first : first + step])
        await process_and_die(ports, chance)
    await process_all(ports)
    return len(sent)


async def check(ports: Ports, all_histories: list[History]) -> None:
    """Against the histories themselves."""
    events = await told(ports)
    books = {row["account_id"]: row for row in await rows(ports, "billing_accounts")}
    plan_of = {event.account_id: event for event in events if isinstance(event, PlanChanged)}
    ended = Counter(one.account_id for one in events if isinstance(one, SubscriptionEnded))
    failed = Counter(one.transaction_id for one in events if isinstance(one, PaymentFailed))
    assert {account_id: row["effective_plan"] for account_id, row in books.items()} == {
        history.account_id: history.plan for history in all_histories
    }
    for account_id, event in plan_of.items():
        row = books[account_id]
        assert (event.version, event.plan) == (row["plan_version"], row["effective_plan"])
    assert ended == Counter(one.account_id for one in all_histories if one.is_over)
    assert set(failed) <= {one for history in all_histories for one in history.failed}
    assert max(failed.values(), default=1) == 1
    states = {row["id"]: row["state"] for table in TABLES[:-1] for row in await rows(ports, table)
              if "id" in row}  # fmt: skip
    assert states == {
        thing: state for history in all_histories for thing, state in history.states.items()
    }
    settled = Counter(row["state"] for row in await rows(ports, "webhooks"))
    assert settled.keys() <= {"applied", "older"}
    assert settled.total() == sum(len(history.bodies) for history in all_histories)
    assert await plans.refresh_due(ports) == 0


async def try_one(opening: Opening, count: int, events: int, seed: int, order: int) -> int:
    all_histories = histories(count, events, seed)
    expected = await of_the_ordered(opening, all_histories)
    async with opening() as ports:
        sent = await permute(ports, all_histories, Random(order))  # noqa: S311  repeatable
        assert await contents(ports) == expected
        await check(ports, all_histories)
    return sent


SHRINKABLE: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


@pytest.mark.fault(76)
@settings(**SHRINKABLE, max_examples=3)
@given(
    count=st.integers(1, 5), events=st.integers(5, 25), seed=st.integers(0), order=st.integers(0)
)
async def test_events_in_any_order_end_in_the_state_of_their_history(
    opening: Opening, count: int, events: int, seed: int, order: int
) -> None:
    await try_one(opening, count, events, seed, order)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@settings(**SHRINKABLE, max_examples=5, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0), order=st.integers(0))
async def test_ten_thousand_events_of_two_hundred_subscriptions_do_too(
    opening: Opening, seed: int, order: int
) -> None:
    began = time.monotonic()

    sent = await try_one(opening, 200, 50, seed, order)

    print(f"{sent} deliveries of 10 000 events in {time.monotonic() - began:.0f} s")  # noqa: T201
