"""One project's flood does not stand before another project's request."""

import asyncio
import statistics
from datetime import timedelta

import pytest

from tests.support.checker_sources import count, drained
from tests.support.client import CarefulClient, Order
from tests.support.stack import System

OPEN = "SELECT count(*) FROM live"
EXECUTORS = ("executor", "executor-2")
SENDERS = 32
PLACES = 512
SECOND = timedelta(seconds=1)


async def time_singles(client: CarefulClient, many: int) -> list[timedelta]:
    """One after the other, each waiting for its result."""
    took = []
    for number in range(many):
        sent = await client.submit(Order(number=number, is_waiting=True, gateway=number % 2))
        assert sent.state == "completed", sent
        took.append(sent.answered_at - sent.sent_at)
    return took


def p95(took: list[timedelta]) -> timedelta:
    seconds = [one.total_seconds() for one in took]
    return timedelta(seconds=statistics.quantiles(seconds, n=20, method="inclusive")[-1])


async def flood(client: CarefulClient, many: int) -> None:
    """Queue `many` requests, whose calls take long, as fast as they are taken."""
    numbers = iter(range(many))

    async def send_some() -> None:
        for number in numbers:
            order = Order(number=number, gateway=number % 2, model="sim-slow-4000ms")
            assert (await client.submit(order)).is_accepted

    await asyncio.gather(*(send_some() for _ in range(SENDERS)))


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    "queued",
    [
        pytest.param(2_000, marks=pytest.mark.slow),
        pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
async def test_a_single_request_waits_little_behind_anothers_flood(
    queued: int, system: System, client: CarefulClient
) -> None:
    free = {"live": system.seeded.free_key}
    requests = system.database_url("requests")
    async with CarefulClient(system.gateways, free) as other:
        await time_singles(other, 10)  # connections and caches are warm after it
        unloaded = p95(await time_singles(other, 20))

        for name in EXECUTORS:
            await system.kill(name)
        await flood(client, queued)
        for name in EXECUTORS:
            await system.start(name)
        loaded = max(await time_singles(other, 10))
        still_open = await count(requests, OPEN)

    print(f"\np95 unloaded {unloaded}, worst behind {queued} queued {loaded}")  # noqa: T201  the figures
    assert still_open > PLACES
    assert loaded <= 2 * unloaded + SECOND
    await drained(system, 180)
