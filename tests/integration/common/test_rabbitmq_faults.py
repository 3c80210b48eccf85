"""A RabbitMQ that is killed, frozen, wiped. A node of its own: others keep theirs."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker import topology
from libs.common.broker.protocol import Message, Unsent
from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.broker.topology import WORK, WORK_FIRST, WORK_REST
from libs.common.settings import Secret
from tests.support import queues, servers
from tests.support.waiting import until

QUEUES = (WORK_FIRST, WORK_REST)


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitMq]:
    with servers.running(RabbitMq) as server:
        yield server


@pytest.fixture
async def broker(node: RabbitMq) -> str:
    await queues.reset(node.url)
    await until(lambda: has_noted_its_queues(node))
    return node.url


def has_noted_its_queues(node: RabbitMq) -> bool:
    """Whether the queues' names are on disk.

    RabbitMQ writes that list late: a kill within about three seconds of a queue's first declaration
    leaves it without a leader for good (its log says "leader not known").
    """
    [names] = node.data.glob("node/quorum/*/names.dets")
    written = names.read_bytes()
    return all(f"%2F_{name}".encode() in written for name in topology.queue_names())


@pytest.fixture
async def publisher(broker: str) -> AsyncIterator[RabbitMQPublisher]:
    async with RabbitMQPublisher(Secret(broker), name="test") as publisher:
        await until(publisher.is_ready)
        yield publisher


class Load:
    """Publishes without pause from several tasks, and remembers what was confirmed."""

    def __init__(self, publisher: RabbitMQPublisher) -> None:
        self.confirmed: set[bytes] = set()
        self.unsent: list[Unsent] = []
        self._publisher, self._number = publisher, 0

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(self._publish(stop))

    async def _publish(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            bodies = [b"%08d" % (self._number + n) for n in range(16)]
            self._number += 16
            messages = [Message(WORK, WORK_FIRST, body) for body in bodies]
            reasons = await self._publisher.publish_many(messages)
            pairs = list(zip(bodies, reasons, strict=True))
            self.confirmed |= {body for body, reason in pairs if reason is None}
            self.unsent += [reason for _, reason in pairs if reason is not None]
            await asyncio.sleep(0.002)


@pytest.mark.fault(12)
async def test_what_was_confirmed_is_there_after_a_kill_under_load(
    node: RabbitMq, broker: str, publisher: RabbitMQPublisher
) -> None:
    load, stop = Load(publisher), asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    await until(lambda: len(load.confirmed) > 500)
    await asyncio.to_thread(node.kill)
    await until(lambda: not publisher.is_ready())
    await asyncio.to_thread(node.start)
    enough = len(load.confirmed) + 500
    await until(lambda: len(load.confirmed) > enough)
    stop.set()
    await running

    arrived = await queues.drain(broker, WORK_FIRST)

    assert load.unsent
    assert load.confirmed - set(arrived) == set()


@pytest.mark.alone
@pytest.mark.fault(13)
async def test_a_frozen_broker_costs_the_timeout_three_times_and_then_nothing(
    node: RabbitMq, broker: str
) -> None:
    async with RabbitMQPublisher(
        Secret(broker), name="frozen", timeout=timedelta(seconds=1)
    ) as publisher:
        await until(publisher.is_ready)
        node.freeze()
        try:
            took = [await timed_publish(publisher) for _ in range(4)]
        finally:
            node.thaw()

        assert [reason for reason, _ in took] == [Unsent.UNKNOWN] * 3 + [Unsent.BROKER_AWAY]
        assert all(1 <= seconds < 2 for _, seconds in took[:3])
        assert took[3][1] < 1

        async def is_back() -> bool:
            return (await timed_publish(publisher))[0] is None

        await until(is_back)


async def timed_publish(publisher: RabbitMQPublisher) -> tuple[Unsent | None, float]:
    began = time.monotonic()
    [reason] = await publisher.publish_many([Message(WORK, WORK_FIRST, b"x")])
    return reason, time.monotonic() - began


async def test_closing_does_not_wait_for_a_frozen_broker(node: RabbitMq, broker: str) -> None:
    # More than the sockets' buffers hold, so that something is still to be sent at the end.
    much = [Message(WORK, WORK_FIRST, bytes(1_000_000))] * 20
    async with RabbitMQPublisher(Secret(broker), name="frozen") as publisher:
        await until(publisher.is_ready)
        node.freeze()
        reasons = await publisher.publish_many(much)
        began = time.monotonic()
    took = time.monotonic() - began
    node.thaw()

    assert set(reasons) == {Unsent.UNKNOWN}
    assert took < 5


@pytest.mark.fault(15)
async def test_a_disk_alarm_blocks_publishing_for_a_while_and_keeps_the_connection(
    node: RabbitMq, broker: str
) -> None:
    sessions: list[None] = []
    async with RabbitMQPublisher(
        Secret(broker),
        name="alarm",
        timeout=timedelta(milliseconds=300),
        on_reconnect=lambda: sessions.append(None),
    ) as publisher:
        await until(publisher.is_ready)
        await asyncio.to_thread(node.control, "set_disk_free_limit", "100000000000000")
        try:
            reasons = [(await timed_publish(publisher))[0] for _ in range(6)]
        finally:
            await asyncio.to_thread(node.control, "set_disk_free_limit", "100000000")

        async def is_back() -> bool:
            return (await timed_publish(publisher))[0] is None

        await until(is_back)

    assert Unsent.UNKNOWN in reasons
    assert reasons[-1] is Unsent.BROKER_AWAY
    assert sessions == []


@pytest.mark.fault(12)
async def test_hints_are_consumed_through_a_kill_of_the_broker(
    node: RabbitMq, broker: str, publisher: RabbitMQPublisher
) -> None:
    bodies = [b"%d" % number for number in range(200)]
    await publisher.publish_many([Message(WORK, WORK_FIRST, body) for body in bodies])
    consumer = RabbitMQConsumer(Secret(broker), name="test", queues=QUEUES, prefetch=50)
    async with consumer:
        seen: set[bytes] = set()
        await consume(consumer, seen, 60)
        in_hand = await consumer.take(20)
        await asyncio.to_thread(node.kill)
        await consumer.ack(in_hand)
        await asyncio.to_thread(node.start)
        await consume(consumer, seen, 200)

    assert seen == set(bodies)


async def consume(consumer: RabbitMQConsumer, seen: set[bytes], count: int) -> None:
    """Take and ack until `count` different bodies were seen."""
    async with asyncio.timeout(60):
        while len(seen) < count:
            deliveries = await consumer.take(min(10, count - len(seen)))
            await consumer.ack(deliveries)
            seen.update(delivery.body for delivery in deliveries)


@pytest.mark.fault(21)
async def test_a_consumer_notices_a_broker_that_only_seems_to_be_there(
    node: RabbitMq,
    broker: str,
    publisher: RabbitMQPublisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("libs.common.broker.rabbitmq.consumer.WATCH_SECONDS", 0.2)
    monkeypatch.setattr("libs.common.broker.rabbitmq.consumer.PROBE_SECONDS", 0.5)
    consumer = RabbitMQConsumer(Secret(broker), name="test", queues=QUEUES, prefetch=50)
    async with consumer:
        await until(consumer.is_ready)
        node.freeze()
        try:
            await until(lambda: not consumer.is_ready())
        finally:
            node.thaw()
        await until(consumer.is_ready)
        await until(publisher.is_ready)

        async def is_sent() -> bool:
            return await publisher.publish_many([Message(WORK, WORK_FIRST, b"after")]) == [None]

        await until(is_sent)
        await consume(consumer, set(), 1)


@pytest.mark.fault(30)
async def test_a_wiped_broker_is_built_again_and_the_publisher_says_so(
    node: RabbitMq, broker: str
) -> None:
    reconnected = asyncio.Event()
    publisher = RabbitMQPublisher(Secret(broker), name="test", on_reconnect=reconnected.set)
    consumer = RabbitMQConsumer(Secret(broker), name="test", queues=QUEUES, prefetch=50)
    async with publisher, consumer:
        await until(lambda: publisher.is_ready() and consumer.is_ready())
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.wipe)
        await asyncio.to_thread(node.start)
        async with asyncio.timeout(30):
            await reconnected.wait()

        messages = [Message(WORK, queue, queue.encode()) for queue in QUEUES]
        assert await publisher.publish_many(messages) == [None, None]
        await consume(consumer, set(), 2)
