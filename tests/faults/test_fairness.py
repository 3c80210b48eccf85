"""One project's flood does not stand before another project's request."""

import asyncio
import statistics
from datetime import timedelta

import pytest

from tests.support.checker_sources import count, drained
from tests.support.client import CarefulClient, Order
from tests.support.stack import System

OPEN = "SELECT count(*) FROM live"
SENDERS = 32
SINGLES = 20


async def p95_of_singles(client: CarefulClient) -> timedelta:
    """One after the other, each waiting for its result."""
    took = []
    for number in range(SINGLES):
        sent = await client.submit(Order(number=number, is_waiting=True, gateway=number % 2))
        assert sent.state == "completed", sent
        took.append((sent.answered_at - sent.sent_at).total_seconds())
    return timedelta(seconds=statistics.quantiles(took, n=20)[-1])


async def flood(client: CarefulClient, many: int) -> None:
    """Queue `many` requests, of two seconds each, as fast as they are taken."""
    numbers = iter(range(many))

    async def send_some() -> None:
        for number in numbers:
            order = Order(number=number, gateway=number % 2, model="sim-slow-2000ms")
            assert (await client.submit(order)).is_accepted

    await asyncio.gather(*(send_some() for _ in range(SENDERS)))


@pytest.mark.parametrize(
    "queued", [2_000, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
async def test_a_single_request_waits_little_behind_anothers_flood(
    queued: int, system: System, client: CarefulClient
) -> None:
    free = {"live": system.seeded.free_key}
    requests = system.database_url("requests")
    async with CarefulClient(system.gateways, free) as other:
        await p95_of_singles(other)  # connections and caches are warm after it
        unloaded = await p95_of_singles(other)

        await flood(client, queued)
        loaded = await p95_of_singles(other)
        still_open = await count(requests, OPEN)

    print(f"\np95 unloaded {unloaded}, behind {queued} queued {loaded}")  # noqa: T201  the figures
    assert still_open > queued / 4
    assert loaded <= 2 * unloaded + timedelta(seconds=1)
    await drained(system, 120)
