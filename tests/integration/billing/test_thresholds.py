"""Who used 80 or 100 % of a period is told once, however it was reached and whoever looks."""

import asyncio
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text

from libs.common.contracts.accounts import AccountCreated, AccountDeleted
from libs.common.contracts.billing import UsageThresholdReached
from libs.common.contracts.executor import RequestsFinished
from libs.common.contracts.plans import PLANS, PlanName
from libs.common.database import DatabaseAway
from libs.common.outbox import OUTBOX
from services.billing.domain.thresholds import reached
from services.billing.ports import Ports
from services.billing.use_cases import accounts, thresholds, usage
from tests.support.finished import CREATED_AT, finished
from tests.support.frozen_clock import FrozenClock
from tests.support.waiting import until

FREE = PLANS[PlanName.FREE].limits.requests_per_month


@pytest.fixture
async def account(ports: Ports) -> str:
    await accounts.open_books(ports, AccountCreated(account_id="acc_1"))
    await buy(ports, PlanName.FREE)
    return "acc_1"


async def buy(ports: Ports, plan: PlanName, anchor_day: int = 1) -> None:
    async with ports.db.transaction() as tx:
        await tx.execute(
            text("UPDATE billing_accounts SET effective_plan = :plan, anchor_day = :day"),
            {"plan": plan, "day": anchor_day},
        )


async def record(ports: Ports, first: int, until_: int, **changes: Any) -> None:
    requests = tuple(finished(number, **changes) for number in range(first, until_))
    await usage.Recorder(ports).record(RequestsFinished(requests=requests))


async def told(ports: Ports) -> list[UsageThresholdReached]:
    async with ports.db.transaction() as tx:
        bodies = await tx.scalars(select(OUTBOX.c.body).order_by(OUTBOX.c.id))
    return [msgspec.json.decode(body, type=UsageThresholdReached) for body in bodies]


@pytest.mark.parametrize(
    ("used", "allowed", "percent"),
    [(0, 5, None), (3, 5, None), (4, 5, 80), (5, 5, 100), (9, 5, 100), (799, 1_000, None),
     (800, 1_000, 80), (999, 1_000, 80)],
)  # fmt: skip
def test_a_threshold_is_reached_at_its_number_and_not_before(
    used: int, allowed: int, percent: int | None
) -> None:
    assert reached(used, allowed) == percent


async def test_each_percent_is_told_once_on_the_way(ports: Ports, account: str) -> None:
    percents = []
    for reach in (799, 800, 801, 999, 1_000, 1_001):
        await record(ports, 0, reach)
        for _ in range(2):
            await thresholds.tell(ports, [account])
        percents.append([event.percent for event in await told(ports)])

    assert percents == [[], [80], [80], [80], [80, 100], [80, 100]]
    assert (await told(ports))[0] == UsageThresholdReached(
        account_id=account,
        percent=80,
        period=date(2026, 3, 1),
        resets_on=date(2026, 4, 1),
        used=800,
        allowed=FREE,
    )


async def test_who_jumps_over_both_is_told_of_the_last(ports: Ports, account: str) -> None:
    await record(ports, 0, FREE)

    await thresholds.tell(ports, [account])

    assert [event.percent for event in await told(ports)] == [100]


async def test_however_many_look_at_once_one_tells(ports: Ports, account: str) -> None:
    await record(ports, 0, FREE)

    await asyncio.gather(*(thresholds.tell(ports, [account]) for _ in range(20)))

    assert [event.percent for event in await told(ports)] == [100]


async def test_a_larger_plan_is_told_of_anew_and_one_that_is_had_again_is_not(
    ports: Ports, account: str
) -> None:
    await record(ports, 0, FREE)
    for plan in (PlanName.FREE, PlanName.PRO, PlanName.FREE, PlanName.OPERATOR):
        await buy(ports, plan)
        await thresholds.tell(ports, [account])
    assert [(event.percent, event.allowed) for event in await told(ports)] == [(100, FREE)]

    await buy(ports, PlanName.PRO)
    many = PLANS[PlanName.PRO].limits.requests_per_month * 8 // 10
    async with ports.db.transaction() as tx:
        await tx.execute(text(_MANY), {"count": many - FREE})
    await thresholds.tell(ports, [account])
    await thresholds.tell(ports, [account])

    [_, again] = await told(ports)
    assert (again.percent, again.used, again.allowed) == (80, many, 100_000)


_MANY = """
INSERT INTO usage_records
SELECT 'rr_more_' || n, account_id, project_id, endpoint, model, state, attempts, created_at,
    finished_at, 0, 0, 0, period
FROM (SELECT * FROM usage_records LIMIT 1) AS one, generate_series(1, :count) AS n
"""


async def test_a_new_period_is_told_anew_and_counts_its_own_days(
    ports: Ports, account: str
) -> None:
    await record(ports, 0, FREE)
    await thresholds.tell(ports, [account])
    await buy(ports, PlanName.FREE, anchor_day=14)  # the day of all these requests
    await thresholds.tell(ports, [account])
    assert isinstance(ports.clock, FrozenClock)
    ports.clock.advance(timedelta(days=31))
    await thresholds.tell(ports, [account])
    later = CREATED_AT + timedelta(days=31)
    await record(ports, FREE, 2 * FREE, created_at=later, finished_at=later)
    await thresholds.tell(ports, [account])

    periods = [(event.period, event.resets_on) for event in await told(ports)]
    assert periods == [
        (date(2026, 3, 1), date(2026, 4, 1)),
        (date(2026, 3, 14), date(2026, 4, 14)),
        (date(2026, 4, 14), date(2026, 5, 14)),
    ]


async def test_strangers_closed_books_and_test_requests_are_not_told(ports: Ports) -> None:
    await accounts.close_books(ports, AccountDeleted(account_id="acc_1", project_ids=()))
    await buy(ports, PlanName.FREE)
    await record(ports, 0, FREE)
    await record(ports, FREE, 2 * FREE, account_id="acc_2")

    await thresholds.tell_all(ports)

    assert await told(ports) == []


async def test_a_worker_that_died_before_it_looked_leaves_nobody_untold(
    ports: Ports, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "BATCH", 2)
    others = [f"acc_{number}" for number in range(2, 8)]
    for other in others:
        await accounts.open_books(ports, AccountCreated(account_id=other))
    await buy(ports, PlanName.FREE)
    for number, other in enumerate([account, *others]):
        await record(ports, number * FREE, (number + 1) * FREE, account_id=other)
    stop = asyncio.Event()
    watching = asyncio.create_task(thresholds.Watch(ports).run(stop))

    async def is_told() -> bool:
        return len(await told(ports)) == 7

    await until(is_told)
    stop.set()
    await watching


@pytest.mark.usefixtures("account")
async def test_who_was_recorded_is_looked_at_again_where_looking_failed(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = thresholds.Watch(ports)
    recorder = usage.Recorder(ports, watch.see)
    requests = tuple(finished(number) for number in range(FREE))
    await recorder.record(RequestsFinished(requests=requests))
    tell = thresholds.tell

    async def fail(*_: object) -> None:
        raise DatabaseAway

    monkeypatch.setattr(thresholds, "tell", fail)
    with pytest.raises(DatabaseAway):
        await watch.look()
    monkeypatch.setattr(thresholds, "tell", tell)
    await watch.look()
    await recorder.record(RequestsFinished(requests=requests))  # nothing new: nobody to look at

    assert len(await told(ports)) == 1
    assert not watch._recorded  # noqa: SLF001  # there is no other way to see that nobody waits
