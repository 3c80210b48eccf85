"""RabbitMQ runs and misbehaves: blocked, cut off, with queues that are not as they should be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import aio_pika
import pytest

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.topology import BILLING_REQUESTS, EXECUTOR_PROJECTS, WORK_FIRST, WORK_REST
from tests.faults.conftest import Judge
from tests.support import queues
from tests.support.checker_sources import count
from tests.support.client import CarefulClient
from tests.support.orders import calls_since, is_not_ready, is_ready, orders, slowest, submit_all
from tests.support.server_faults import Alarm, alarm, disconnect
from tests.support.stack import System
from tests.support.waiting import until

EXECUTORS: Final = ("executor", "executor-2")
WORK: Final = (WORK_FIRST, WORK_REST)
OPEN: Final = "SELECT count(*) FROM live"
SOON: Final = timedelta(seconds=5)
GARBAGE: Final = (b"", b"\xff\xfe", b"x" * 4_096, b"rr_0000000000000000000000000", b"{}")
DEATHS: Final = 55
"""More than the deliveries that a hint gets."""
DRIFTED: Final = "broker_topology_drifted"
TIMED_OUT: Final = "has timed out waiting for delivery acknowledgement"
_TIMEOUTS: Final = (
    "application:set_env(rabbit, consumer_timeout, {}), "
    "application:set_env(rabbit, channel_tick_interval, {})."
)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("disk", marks=pytest.mark.fault(15)),
        pytest.param("memory", marks=[pytest.mark.fault(16), pytest.mark.slow]),
    ],
)
async def test_under_an_alarm_requests_are_accepted_and_hints_that_are_there_are_worked_off(
    kind: Alarm, system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    for name in EXECUTORS:
        await system.kill(name)
    await submit_all(client, orders(60))

    async with alarm(system.stack.rabbitmq, kind):
        blocked = await submit_all(client, orders(60))
        for name in EXECUTORS:
            await system.start(name)
        await until(lambda: calls_since(system, since) >= 50)

    assert slowest(blocked) < SOON
    await judge(since)
    assert calls_since(system, since) == 120


@pytest.mark.fault(19)
async def test_calls_outlive_their_connections_and_none_is_made_twice(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    sent = await submit_all(client, orders(60, model="sim-slow-3000ms"))
    await until(lambda: calls_since(system, since) == len(sent))

    await disconnect(system.stack.rabbitmq)
    more = await submit_all(client, orders(60))

    await judge(since)
    assert calls_since(system, since) == len(sent) + len(more)


@pytest.mark.fault(24)
async def test_messages_that_nobody_can_read_hold_up_nobody(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since, url = datetime.now(UTC), system.stack.rabbitmq.url
    readers = (WORK_FIRST, WORK_REST, EXECUTOR_PROJECTS, BILLING_REQUESTS)
    async with queues.side_channel(url) as channel:
        for queue in readers:
            for body in GARBAGE:
                await channel.default_exchange.publish(aio_pika.Message(body), queue)

    await submit_all(client, orders(100))

    await judge(since)
    for queue in readers:
        await until(lambda queue=queue: is_empty(url, queue))  # type: ignore[misc]
    for queue in (EXECUTOR_PROJECTS, BILLING_REQUESTS):
        assert sorted(await queues.drain(url, f"{queue}.parked")) == sorted(GARBAGE)


async def is_empty(url: str, queue: str) -> bool:
    return await queues.depth(url, queue) == 0


@pytest.mark.slow
@pytest.mark.fault(31)
async def test_a_changed_password_is_taken_up_and_nothing_is_lost_meanwhile(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since, node = datetime.now(UTC), system.stack.rabbitmq
    password = system.stack.site.keys.services["executor"]
    await asyncio.to_thread(node.control, "change_password", "executor", "another")
    try:
        await disconnect(node)
        await until(lambda: is_not_ready(system, "executor"))
        await submit_all(client, orders(60))
        url = node.user_url("executor", "another")
        for name in (*EXECUTORS, "dispatcher"):
            await system.restart(name, {"BROKER_URL": url})
        await until(lambda: is_nothing_open(system), 60)
    finally:
        await asyncio.to_thread(node.control, "change_password", "executor", password)

    await judge(since)
    assert calls_since(system, since) == 60


async def is_nothing_open(system: System) -> bool:
    return await count(system.database_url("requests"), OPEN) == 0


@pytest.mark.slow
@pytest.mark.fault(18)
async def test_a_queue_declared_in_another_way_is_named_and_all_is_done_once_it_is_gone(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since, url = datetime.now(UTC), system.stack.rabbitmq.url
    for name in EXECUTORS:
        await system.kill(name)
    async with queues.side_channel(url) as channel:
        await channel.queue_delete(BILLING_REQUESTS)
        await channel.declare_queue(BILLING_REQUESTS, durable=True)

    await system.begin("executor")
    await until(lambda: has_named(system, "executor", BILLING_REQUESTS))
    assert await is_not_ready(system, "executor")
    await submit_all(client, orders(60))
    async with queues.side_channel(url) as channel:
        await channel.queue_delete(BILLING_REQUESTS)

    await until(lambda: is_ready(system, "executor"))
    await judge(since)
    assert calls_since(system, since) == 60


def has_named(system: System, process: str, queue: str) -> bool:
    lines = (system.stack.site.logs / f"{process}.log").read_text().splitlines()
    return any(DRIFTED in line and f"'{queue}'" in line for line in lines)


@pytest.mark.slow
@pytest.mark.fault(20)
async def test_a_consumer_that_the_broker_threw_out_calls_nobody_again(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since, node = datetime.now(UTC), system.stack.rabbitmq
    async with short_timeouts(node):
        for name in EXECUTORS:
            await until(lambda name=name: is_ready(system, name))  # type: ignore[misc]
        before = node.log.read_text().count(TIMED_OUT)
        running = await submit_all(client, orders(30, model="sim-slow-8000ms"))
        await until(lambda: calls_since(system, since) == len(running))
        for name in EXECUTORS:
            system.process(name).freeze()
        held = await submit_all(client, orders(60))
        await until(lambda: node.log.read_text().count(TIMED_OUT) > before)
        for name in EXECUTORS:
            system.process(name).thaw()

        await judge(since)
    assert calls_since(system, since) == len(running) + len(held)


@asynccontextmanager
async def short_timeouts(node: RabbitMq) -> AsyncIterator[None]:
    """A delivery that is not acknowledged within two seconds costs its channel."""
    await asyncio.to_thread(node.control, "eval", _TIMEOUTS.format(2_000, 500))
    await disconnect(node)  # a channel keeps the interval that it began with
    try:
        yield
    finally:
        await asyncio.to_thread(node.control, "eval", _TIMEOUTS.format(1_800_000, 60_000))


@pytest.mark.slow
@pytest.mark.fault(26, 27)
@pytest.mark.parametrize("parking", ["there", "missing", "full"])
async def test_hints_that_used_up_their_deliveries_hold_up_no_request(
    parking: str, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, node = datetime.now(UTC), system.stack.rabbitmq
    for name in EXECUTORS:
        await system.kill(name)
    await queues.make_quorum(node.url, *WORK)  # only they count deliveries (decision 0014)
    await submit_all(client, orders(40))
    await spoil(node, parking)
    deep = {queue: await queues.depth(node.url, queue) for queue in WORK}
    assert sum(deep.values()) > 0

    for _ in range(DEATHS):
        await die_with_all(node.url)
    if parking == "there":
        for queue, count in deep.items():
            await until(lambda q=queue, n=count: has_parked(node.url, q, n))  # type: ignore[misc]
    for name in EXECUTORS:
        await system.start(name)

    await judge(since, drain_seconds=90)
    assert calls_since(system, since) == 40
    await renew(system)


async def spoil(node: RabbitMq, parking: str) -> None:
    """What becomes of the parking queues of the hints."""
    if parking == "missing":
        async with queues.side_channel(node.url) as channel:
            for queue in WORK:
                await channel.queue_delete(f"{queue}.parked")
    if parking == "full":
        limit = '{"max-length": 1, "overflow": "reject-publish"}'
        policy = ("--priority", "10", "--apply-to", "queues", "full", r"^work\..*\.parked$", limit)
        await asyncio.to_thread(node.control, "set_policy", *policy)


async def die_with_all(url: str) -> None:
    """Take every hint and go away without a word, as a killed executor does."""
    async with queues.side_channel(url) as channel:
        for name in WORK:
            queue = await channel.get_queue(name, ensure=False)
            while await queue.get(fail=False) is not None:
                pass


async def has_parked(url: str, queue: str, count: int) -> bool:
    return await queues.depth(url, f"{queue}.parked") == count


async def renew(system: System) -> None:
    """A broker that remembers nothing of this."""
    await system.kill("rabbitmq")
    await asyncio.to_thread(system.stack.rabbitmq.wipe)
    await system.start("rabbitmq")
