"""What everything depends on is away for a while: nothing is lost, nothing is called twice."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.broker.topology import WORK_FIRST, WORK_REST
from libs.common.crypto import issue_api_key
from services.executor.adapters.accounts import FRESH_SECONDS
from tests.faults.conftest import Judge
from tests.support import queues
from tests.support.checker_sources import count, drained, read_calls
from tests.support.client import CarefulClient, Order, Sent
from tests.support.load import Load, Wishes
from tests.support.orders import orders, slowest
from tests.support.stack import System
from tests.support.waiting import until

OPEN = "SELECT count(*) FROM live"
SEED = 4_711


async def submit_all(client: CarefulClient, many: int, model: str = "sim-ok") -> list[Sent]:
    """Accept `many` requests at 200 a second; every one must be taken."""
    wishes = Wishes(
        seed=SEED, models={model: 1}, wait_share=0, test_share=0, follow_share=0, gateways=2
    )
    stop = asyncio.Event()
    stop.set()
    await Load(client, wishes).run(stop, at_least=many)
    assert all(sent.is_accepted for sent in client.sent), {s.error for s in client.sent}
    return client.sent


def calls_since(system: System, since: datetime) -> int:
    return sum(call.started_at >= since for call in read_calls(system.call_log))


@pytest.mark.slow
@pytest.mark.fault(55, 64)
@pytest.mark.parametrize(
    "flood",
    [
        (300, 4),
        pytest.param((5_000, 60), marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
@pytest.mark.parametrize("how", [pytest.param("refused", marks=pytest.mark.slow), "overloaded"])
async def test_all_complete_once_the_provider_is_back(
    how: str, flood: tuple[int, int], system: System, client: CarefulClient, judge: Judge
) -> None:
    """Our own pauses are a tenth of production's: 60 seconds here stand for ten minutes."""
    (pending, seconds), since = flood, datetime.now(UTC)
    if how == "refused":
        await system.kill("simulator")
    else:
        await asyncio.to_thread(system.script, "sim-503-always")

    await submit_all(client, pending)
    back_at = since + timedelta(seconds=seconds)
    await until(lambda: datetime.now(UTC) > back_at, seconds + 5)
    assert await count(system.database_url("requests"), OPEN) == pending

    if how == "refused":
        await system.start("simulator")
    else:
        await asyncio.to_thread(system.script)
    await judge(since, drain_seconds=90)


@pytest.mark.fault(35)
@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(8, marks=pytest.mark.slow),
        pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
async def test_answers_paid_for_while_postgresql_is_away_are_stored_and_none_is_called_again(
    seconds: int, system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    await submit_all(client, 200, "sim-slow-3000ms")
    await until(lambda: calls_since(system, since) == 200)

    await system.kill("postgresql")
    answered_at = datetime.now(UTC)
    await until(lambda: all(call.finished_at for call in read_calls(system.call_log)), 10)
    back_at = answered_at + timedelta(seconds=seconds)
    await until(lambda: datetime.now(UTC) > back_at, seconds + 5)
    await system.start("postgresql")

    await judge(since, drain_seconds=90)
    assert calls_since(system, since) == 200


@pytest.mark.slow
@pytest.mark.fault(14)
async def test_without_a_broker_all_start_and_accept_and_work_begins_when_it_comes(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    await system.kill("rabbitmq")
    for name in ("gateway", "gateway-2", "executor", "executor-2", "dispatcher"):
        await system.kill(name)
        system.process(name).start()
    for name in ("gateway", "gateway-2"):
        await asyncio.to_thread(system.stack.wait_until_ready, name)

    await submit_all(client, 200)
    assert calls_since(system, since) == 0
    await system.start("rabbitmq")

    await judge(since, drain_seconds=90)


@pytest.mark.slow
@pytest.mark.fault(17)
async def test_deleted_work_queues_come_back_and_everything_is_done(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    await submit_all(client, 50)
    async with queues.side_channel(system.stack.rabbitmq.url) as channel:
        for queue in (WORK_FIRST, WORK_REST):
            await channel.queue_delete(queue)

    await submit_all(client, 200)

    await judge(since, drain_seconds=90)


@pytest.mark.fault(46, 47)
@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_waits_go_on_by_polling_while_redis_is_away(
    how: str, system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    if how == "killed":
        await system.kill("redis")
    else:
        system.stack.redis.freeze()
    orders = [
        Order(number=number, gateway=number % 2, is_waiting=True, model="sim-slow-300ms")
        for number in range(40)
    ]

    sent = await asyncio.gather(*(client.submit(order) for order in orders))

    await system.revive()
    assert {one.state for one in sent} == {"completed"}
    took = [one.answered_at - one.sent_at for one in sent]
    assert max(took) < timedelta(seconds=5)
    await judge(since)


async def test_known_keys_work_while_accounts_is_away_and_unknown_ones_are_not_called_wrong(
    system: System, client: CarefulClient
) -> None:
    stranger = {"live": issue_api_key("live")}
    async with CarefulClient(system.gateways, stranger) as unknown:
        assert {(await client.submit(Order(number=n, gateway=n))).status_code for n in (0, 1)} == {
            200
        }
        await system.kill("accounts")
        away = [await client.submit(Order(number=n, gateway=n % 2)) for n in range(2, 22)]
        refused = await unknown.submit(Order(number=22))

        await system.start("accounts")
        assert {one.status_code for one in away} == {200}
        assert (refused.status_code, refused.error) == (503, "unavailable")

        async def is_known_to_be_unknown() -> bool:
            return (await unknown.submit(Order(number=23))).error == "invalid_api_key"

        await until(is_known_to_be_unknown, 10)
    await drained(system, 30)


@pytest.mark.fault(92)
async def test_while_accounts_stands_still_known_projects_are_served_as_before(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    for order in orders(20, is_waiting=True):  # both executors meet the project
        await client.submit(order)
    system.process("accounts").freeze()
    known_until = datetime.now(UTC) + timedelta(seconds=FRESH_SECONDS)
    await until(lambda: datetime.now(UTC) > known_until)

    noticing = [await client.submit(order) for order in orders(4, is_waiting=True)]
    sent = [await client.submit(order) for order in orders(40, is_waiting=True)]

    await system.revive()
    assert {one.state for one in (*noticing, *sent)} == {"completed"}
    assert slowest(sent) < timedelta(seconds=1)
    await judge(since)
