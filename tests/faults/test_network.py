"""The network between a process and what it depends on is slow, silent or cut.

The first gateway and the first executor reach everything through proxies here; the second of each
goes straight, as it would on another machine.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from libs.common.broker.topology import WORK_FIRST, WORK_REST
from libs.ledger.claim import LEASE
from services.executor.adapters.accounts import FRESH_SECONDS
from services.gateway.adapters.limits import FAILURES
from tests.faults.conftest import Judge
from tests.support import queues
from tests.support.checker_sources import drained
from tests.support.client import CarefulClient, Order
from tests.support.detours import detours
from tests.support.orders import (
    FIRST,
    SECOND,
    calls_since,
    is_not_ready,
    is_ready,
    orders,
    slowest,
    stored_since,
    submit,
    submit_all,
    verdicts,
)
from tests.support.proxy import PASS, SILENT, Flow, Proxy
from tests.support.stack import System
from tests.support.waiting import until

SERVERS: Final = ("postgresql", "rabbitmq", "redis")
BASIC_ACK: Final = b"\x00\x3c\x00\x50"
"""Class 60, method 80: what every acknowledgement's frame begins with."""
ACCEPTED: Final = b"D\x00\x00\x00\x1a\x00\x02\x00\x00\x00\x04"
"""How PostgreSQL answers an acceptance alone: a row of 26 bytes, a slot's rank (4) and a moment."""
UNAVAILABLE = {(503, "unavailable")}
DELAY = timedelta(seconds=0.2)
SOON = timedelta(seconds=5)
FRESH = timedelta(seconds=FRESH_SECONDS)
RATES_ARE_LOCAL = "reqrun_gateway_rates_local"
UNSENT = "reqrun_broker_unsent_total"

Way = Callable[[str, str], Proxy]


@pytest.fixture(scope="module")
async def proxies(battered_system: System) -> AsyncIterator[dict[tuple[str, str], Proxy]]:
    """What stands between a process and a neighbour of it."""
    async with (
        detours(battered_system, "gateway", SERVERS) as of_gateway,
        detours(battered_system, "executor", (*SERVERS, "accounts")) as of_executor,
    ):
        found = {("gateway", name): proxy for name, proxy in of_gateway.items()}
        yield found | {("executor", name): proxy for name, proxy in of_executor.items()}


@pytest.fixture
def way(proxies: dict[tuple[str, str], Proxy]) -> Iterator[Way]:
    """The way from a process to a neighbour; it is mended at the end."""
    taken = []

    def take(process: str, neighbour: str) -> Proxy:
        taken.append(proxies[process, neighbour])
        return taken[-1]

    yield take
    for proxy in taken:
        proxy.mend()


@pytest.mark.fault(5)
async def test_a_commit_whose_answer_is_lost_is_a_503_and_its_key_finds_the_one_request(
    way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    began_at = datetime.now(UTC)
    await client.submit(Order(number=10))  # an account's first one goes another way
    since, proxy = datetime.now(UTC), way("gateway", "postgresql")
    keyed = [
        Order(number=number, extra={"idempotency_key": f"{since.isoformat()} {number}"})
        for number in range(10)
    ]

    proxy.down = Flow(cut_at=ACCEPTED)
    lost = [await client.submit(order) for order in keyed]
    stored = await stored_since(system, since)
    proxy.down = PASS
    found = await submit_all(client, keyed * 2)

    assert verdicts(lost) == UNAVAILABLE
    assert stored == len(keyed) == proxy.cuts
    assert len({one.request_id for one in found}) == len(keyed)
    assert await stored_since(system, since) == stored
    await judge(began_at)


@pytest.mark.slow
@pytest.mark.fault(22)
async def test_where_confirms_are_lost_nobody_waits_for_them_and_nothing_is_called_twice(
    way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, proxy = datetime.now(UTC), way("gateway", "rabbitmq")
    before = await asyncio.to_thread(system.metric, "gateway", UNSENT)

    proxy.down = SILENT
    sent = await submit_all(client, orders(100, FIRST))

    assert slowest(sent) < SOON

    async def is_counted() -> bool:
        return await asyncio.to_thread(system.metric, "gateway", UNSENT) > before

    await until(is_counted)
    await judge(since)
    assert calls_since(system, since) == len(sent)


@pytest.mark.fault(23)
async def test_a_hint_whose_ack_is_lost_comes_again_and_calls_nobody_again(
    way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, proxy = datetime.now(UTC), way("executor", "rabbitmq")
    proxy.up = Flow(cut_at=BASIC_ACK)

    sent = await submit_all(client, orders(100)) + await submit_all(client, orders(100))
    await drained(system, 60)

    assert proxy.cuts > 0
    proxy.mend()
    for queue in (WORK_FIRST, WORK_REST):
        await until(lambda queue=queue: is_empty(system, queue))  # type: ignore[misc]
    await judge(since)
    assert calls_since(system, since) == len(sent)


async def is_empty(system: System, queue: str) -> bool:
    return await queues.depth(system.stack.rabbitmq.url, queue) == 0


@pytest.mark.slow
@pytest.mark.fault(21)
async def test_hints_held_by_a_half_open_connection_are_done_by_others_within_three_heartbeats(
    way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, proxy = datetime.now(UTC), way("executor", "rabbitmq")
    proxy.up = proxy.down = SILENT

    sent = await submit_all(client, orders(200))
    await until(lambda: is_not_ready(system, "executor"), 30)
    await drained(system, 30)

    proxy.mend()
    await until(lambda: is_ready(system, "executor"), 30)
    await judge(since)
    assert calls_since(system, since) == len(sent)


@pytest.mark.fault(89)
async def test_a_gateway_cut_off_from_the_ledger_refuses_and_the_other_goes_on(
    way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, proxy = datetime.now(UTC), way("gateway", "postgresql")
    proxy.cut()

    refused = await submit(client, orders(40, FIRST))
    await submit_all(client, orders(40, SECOND))
    assert await is_not_ready(system, "gateway")
    proxy.mend()
    await until(lambda: is_ready(system, "gateway"))
    await submit_all(client, orders(40, FIRST))

    assert verdicts(refused) == UNAVAILABLE
    assert slowest(refused) < SOON
    await judge(since)


@pytest.mark.fault(89)
@pytest.mark.parametrize(
    "seconds", [3, pytest.param(25, marks=pytest.mark.slow, id="beyond-its-leases")]
)
async def test_an_executor_cut_off_from_the_ledger_keeps_its_answers_until_it_is_back(
    seconds: int, way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, proxy = datetime.now(UTC), way("executor", "postgresql")
    sent = await submit_all(client, orders(60, model="sim-slow-2000ms"))
    await until(lambda: calls_since(system, since) == len(sent))

    proxy.cut()
    back_at = datetime.now(UTC) + timedelta(seconds=seconds)
    await until(lambda: datetime.now(UTC) > back_at, seconds + 5)
    proxy.mend()

    await judge(since)
    if timedelta(seconds=seconds) < LEASE:
        assert calls_since(system, since) == len(sent)


@pytest.mark.fault(89)
async def test_a_gateway_cut_off_from_redis_answers_its_waits_by_looking(
    way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, proxy = datetime.now(UTC), way("gateway", "redis")
    proxy.cut()

    sent = await submit(client, orders(40, FIRST, is_waiting=True, model="sim-slow-300ms"))

    assert {one.state for one in sent} == {"completed"}
    assert slowest(sent) < SOON
    for order in orders(FAILURES, FIRST):
        await client.submit(order)
    assert await asyncio.to_thread(system.metric, "gateway", RATES_ARE_LOCAL) == 1
    await judge(since)


@pytest.mark.fault(49)
async def test_a_slow_redis_costs_its_callers_a_moment_once(
    way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, proxy = datetime.now(UTC), way("gateway", "redis")
    proxy.down = Flow(delay=0.5)

    waited = await submit_all(client, orders(40, FIRST, is_waiting=True, model="sim-slow-300ms"))
    sent = await submit_all(client, orders(100, FIRST))

    assert {one.state for one in waited} == {"completed"}
    assert slowest([*waited, *sent]) < SOON
    assert await asyncio.to_thread(system.metric, "gateway", RATES_ARE_LOCAL) == 1
    await judge(since)


@pytest.mark.slow
@pytest.mark.fault(89)
async def test_an_executor_cut_off_from_accounts_goes_on_with_what_it_knows(
    way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, proxy = datetime.now(UTC), way("executor", "accounts")
    await submit_all(client, orders(100))  # both executors have met the project after it
    await drained(system, 30)
    proxy.cut()
    known_until = datetime.now(UTC) + FRESH
    await until(lambda: datetime.now(UTC) > known_until)

    await submit_all(client, orders(100))
    await judge(since)
    assert calls_since(system, since) == 200


@pytest.mark.fault(89)
async def test_a_slow_way_to_the_ledger_slows_and_loses_nothing(
    way: Way, system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    for process in ("gateway", "executor"):
        way(process, "postgresql").down = Flow(delay=DELAY.total_seconds())

    sent = await submit_all(client, orders(100, is_waiting=True))

    assert {one.state for one in sent} == {"completed"}
    assert slowest(sent) >= DELAY
    await judge(since)
    assert calls_since(system, since) == len(sent)
