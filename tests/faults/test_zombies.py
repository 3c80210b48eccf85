"""An executor that froze beyond its lease and wakes up again changes nothing that others settled.

Crash pauses are long here, so that a frozen dispatcher can be kept from giving work away again.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from tests.faults.conftest import Judge
from tests.support.checker import Call
from tests.support.checker_sources import count, drained, read_calls
from tests.support.client import CarefulClient, Order
from tests.support.stack import System
from tests.support.waiting import until

LATE = "reqrun_late_answers_dropped_total"
OWNED = "SELECT count(*) FROM live WHERE state = 'processing' AND lease_owner LIKE '{}'"
ORPHANS = "SELECT count(*) FROM attempts WHERE outcome = 'ambiguous'"
LEASE_SECONDS = 40.0


@pytest.fixture
async def system(system: System) -> AsyncIterator[System]:
    await system.equip("dispatcher", {"BACKOFF_SCALE": "8"})
    yield system
    await system.equip("dispatcher")


async def start_calls(
    system: System, client: CarefulClient, many: int, model: str = "sim-slow-2000ms"
) -> datetime:
    """Bring `many` calls under way at the provider; when that began."""
    since = datetime.now(UTC)
    orders = [Order(number=n, gateway=n % 2, model=model) for n in range(many)]
    sent = await asyncio.gather(*(client.submit(order) for order in orders))
    assert all(one.is_accepted for one in sent)

    await until(lambda: len(calls_since(system, since)) == many, 20)
    return since


def calls_since(system: System, since: datetime) -> list[Call]:
    return [call for call in read_calls(system.call_log) if call.started_at >= since]


async def owned(system: System, executor: str) -> int:
    """How many attempts an executor process has under way, by the process id in its name."""
    pid = system.process(executor).pid
    return await count(system.database_url("requests"), OWNED.format(f"%-{pid}-%"))


@pytest.mark.slow
@pytest.mark.fault(51)
async def test_another_executor_finishes_and_the_zombies_answers_are_dropped(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = await start_calls(system, client, 40)
    lent = await owned(system, "executor")
    assert lent > 0
    before = await asyncio.to_thread(system.metric, "executor", LATE)

    system.process("executor").freeze()
    await drained(system, LEASE_SECONDS + 30)
    system.process("executor").thaw()

    async def has_dropped_them() -> bool:
        dropped = await asyncio.to_thread(system.metric, "executor", LATE)
        return dropped - before == lent

    await until(has_dropped_them, 20)
    await judge(since)


@pytest.mark.slow
@pytest.mark.fault(51)
async def test_a_zombie_that_wakes_while_another_calls_does_not_write_over_its_attempt(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = await start_calls(system, client, 30, "sim-slow-3000ms")
    lent = await owned(system, "executor")
    system.process("executor").freeze()

    def are_called_again() -> bool:
        return len(calls_since(system, since)) == 30 + lent

    await until(are_called_again, LEASE_SECONDS)
    system.process("executor").thaw()

    await judge(since)
    assert len(calls_since(system, since)) == 30 + lent


@pytest.mark.slow
@pytest.mark.fault(51)
async def test_the_answer_of_a_zombie_whose_fence_still_holds_is_kept_and_not_paid_twice(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = await start_calls(system, client, 30)
    requests = system.database_url("requests")
    before = await count(requests, ORPHANS)
    lent = await count(requests, "SELECT count(*) FROM live")
    for name in ("executor", "executor-2"):
        system.process(name).freeze()

    async def are_given_up() -> bool:
        return await count(requests, ORPHANS) - before == lent

    await until(are_given_up, LEASE_SECONDS)
    system.process("dispatcher").freeze()
    for name in ("executor", "executor-2"):
        system.process(name).thaw()

    async def are_final() -> bool:
        return await count(requests, "SELECT count(*) FROM live") == 0

    await until(are_final, 20)
    system.process("dispatcher").thaw()
    await judge(since)
    assert len(calls_since(system, since)) == 30
