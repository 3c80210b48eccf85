"""Consuming from a real RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.protocol import Delivery, Message
from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.broker.rabbitmq import consumer as consumer_module
from libs.common.broker.topology import WORK, WORK_FIRST, WORK_REST
from libs.common.settings import Secret
from tests.support import queues
from tests.support.waiting import until

QUEUES = (WORK_FIRST, WORK_REST)


@pytest.fixture
async def broker(rabbitmq_server: RabbitMq) -> str:
    await queues.reset(rabbitmq_server.url)
    return rabbitmq_server.url


@pytest.fixture
async def publisher(broker: str) -> AsyncIterator[RabbitMQPublisher]:
    async with RabbitMQPublisher(Secret(broker), name="test") as publisher:
        await until(publisher.is_ready)
        yield publisher


@pytest.fixture
async def consumer(broker: str) -> AsyncIterator[RabbitMQConsumer]:
    async with new_consumer(broker) as consumer:
        await until(consumer.is_ready)
        yield consumer


def new_consumer(url: str, prefetch: int = 100) -> RabbitMQConsumer:
    return RabbitMQConsumer(Secret(url), name="test", queues=QUEUES, prefetch=prefetch)


async def fill(publisher: RabbitMQPublisher, queue: str, count: int) -> list[bytes]:
    bodies = [b"%s %d" % (queue.encode(), number) for number in range(count)]
    assert not any(await publisher.publish_many([Message(WORK, queue, b) for b in bodies]))
    return bodies


async def take(consumer: RabbitMQConsumer, count: int) -> list[Delivery]:
    """Exactly `count`, however many takes that needs."""
    taken: list[Delivery] = []
    async with asyncio.timeout(30):
        while len(taken) < count:
            taken += await consumer.take(count - len(taken))
    return taken


async def test_what_was_acked_does_not_come_back(
    broker: str, publisher: RabbitMQPublisher, consumer: RabbitMQConsumer
) -> None:
    bodies = await fill(publisher, WORK_FIRST, 50)

    deliveries = await take(consumer, 50)
    await consumer.ack(deliveries)

    assert [delivery.body for delivery in deliveries] == bodies
    assert not any(consumer.holds(delivery) for delivery in deliveries)
    await consumer.__aexit__(None, None, None)
    assert await queues.drain(broker, WORK_FIRST) == []


@pytest.mark.parametrize("is_kept", [lambda n: n % 2, lambda n: n < 3, lambda n: n in {0, 9}])
async def test_acking_some_leaves_exactly_the_others(
    broker: str, publisher: RabbitMQPublisher, is_kept: object
) -> None:
    assert callable(is_kept)
    bodies = await fill(publisher, WORK_FIRST, 10)
    async with new_consumer(broker) as consumer:
        deliveries = await take(consumer, 10)
        await consumer.ack([d for n, d in enumerate(deliveries) if not is_kept(n)])

    expected = {body for n, body in enumerate(bodies) if is_kept(n)}
    assert set(await queues.drain(broker, WORK_FIRST)) == expected


async def test_acks_in_any_order_settle_everything(
    broker: str, publisher: RabbitMQPublisher
) -> None:
    await fill(publisher, WORK_FIRST, 30)
    async with new_consumer(broker) as consumer:
        deliveries = await take(consumer, 30)
        for step in range(7):
            await consumer.ack(deliveries[6 - step :: 7])

    assert await queues.drain(broker, WORK_FIRST) == []


async def test_an_ack_twice_is_counted_and_hurts_nobody(
    publisher: RabbitMQPublisher, consumer: RabbitMQConsumer
) -> None:
    await fill(publisher, WORK_FIRST, 2)
    [first, second] = await take(consumer, 2)

    await consumer.ack([first])
    await consumer.ack([first])

    assert consumer.is_ready()
    assert consumer.holds(second)


async def test_places_are_shared_evenly_and_unused_ones_go_to_either_queue(
    publisher: RabbitMQPublisher, consumer: RabbitMQConsumer
) -> None:
    await fill(publisher, WORK_REST, 40)
    await fill(publisher, WORK_FIRST, 4)
    await until(lambda: waiting(consumer) == 44)

    first = await consumer.take(6)
    rest = await consumer.take(100)

    assert sorted(d.queue for d in first) == [WORK_FIRST] * 3 + [WORK_REST] * 3
    assert sorted(d.queue for d in rest) == [WORK_FIRST] * 1 + [WORK_REST] * 37


async def test_single_places_alternate_between_the_queues(
    publisher: RabbitMQPublisher, consumer: RabbitMQConsumer
) -> None:
    await fill(publisher, WORK_REST, 20)
    await fill(publisher, WORK_FIRST, 20)
    await until(lambda: waiting(consumer) == 40)

    taken = [(await consumer.take(1))[0].queue for _ in range(20)]

    assert taken.count(WORK_FIRST) == 10


async def test_no_more_than_the_prefetch_is_in_our_hands(
    broker: str, publisher: RabbitMQPublisher
) -> None:
    await fill(publisher, WORK_FIRST, 30)
    async with new_consumer(broker, prefetch=10) as consumer:
        deliveries = await take(consumer, 10)

        assert await queues.depth(broker, WORK_FIRST) == 20
        await consumer.ack(deliveries)
        await take(consumer, 10)


async def test_stopping_gives_back_what_nobody_took_and_acks_still_work(
    broker: str, publisher: RabbitMQPublisher, consumer: RabbitMQConsumer
) -> None:
    bodies = await fill(publisher, WORK_FIRST, 20)
    await until(lambda: waiting(consumer) == 20)
    mine = await consumer.take(5)

    await consumer.stop_receiving()
    returned = await until_drained(broker, 15)
    await consumer.ack(mine)

    assert await consumer.take(10) == []
    assert returned == set(bodies[5:])
    await consumer.__aexit__(None, None, None)
    assert await queues.drain(broker, WORK_FIRST) == []


async def test_stopping_ends_a_take_that_waits(consumer: RabbitMQConsumer) -> None:
    waiting_take = asyncio.create_task(consumer.take(1))
    await until(lambda: not waiting_take.done())

    await consumer.stop_receiving()

    async with asyncio.timeout(5):
        assert await waiting_take == []


async def test_what_is_given_back_comes_again(
    publisher: RabbitMQPublisher, consumer: RabbitMQConsumer
) -> None:
    await fill(publisher, WORK_FIRST, 1)
    [first] = await take(consumer, 1)

    await consumer.give_back([first])
    [again] = await take(consumer, 1)

    assert again.body == first.body
    assert again.is_redelivered
    assert not consumer.holds(first)


@pytest.mark.fault(17)
async def test_a_consumer_whose_queue_was_deleted_has_it_again(
    broker: str, publisher: RabbitMQPublisher, consumer: RabbitMQConsumer
) -> None:
    async with queues.side_channel(broker) as channel:
        await channel.queue_delete(WORK_FIRST)
    await until(lambda: not consumer.is_ready())
    await until(consumer.is_ready)

    await fill(publisher, WORK_FIRST, 1)

    [delivery] = await take(consumer, 1)
    await consumer.ack([delivery])


async def test_an_ack_after_the_connection_was_lost_is_not_raised_and_the_message_comes_again(
    rabbitmq_server: RabbitMq, publisher: RabbitMQPublisher, consumer: RabbitMQConsumer
) -> None:
    await fill(publisher, WORK_FIRST, 3)
    before = await take(consumer, 3)

    await asyncio.to_thread(rabbitmq_server.control, "close_all_connections", "test")
    await until(lambda: not any(consumer.holds(d) for d in before))
    await consumer.ack(before)

    again = await take(consumer, 3)
    assert {d.body for d in again} == {d.body for d in before}
    await consumer.ack(again)


def waiting(consumer: RabbitMQConsumer) -> int:
    """How many deliveries have arrived and were not taken."""
    session = consumer._link.session  # noqa: SLF001  # there is no other way to see the buffers
    return sum(len(intake.buffer) for intake in session.intakes.values()) if session else 0


async def until_drained(url: str, count: int) -> set[bytes]:
    found: set[bytes] = set()

    async def is_all() -> bool:
        found.update(await queues.drain(url, WORK_FIRST))
        return len(found) >= count

    await until(is_all)
    return found


async def test_an_idle_session_is_renewed_without_a_word(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "WATCH_SECONDS", 0.1)
    monkeypatch.setattr(consumer_module, "IDLE_SECONDS", 0.3)
    labels = {"link": "consumer", "why": "renewed"}

    def renewals() -> float:
        return REGISTRY.get_sample_value("reqrun_broker_sessions_ended_total", labels) or 0

    before = renewals()
    with capture_logs() as lines:
        async with new_consumer(broker) as consumer:
            await until(lambda: renewals() >= before + 2)
            await until(consumer.is_ready)

    # Other tests' gateways may live beside this one and speak of their own brokers.
    own = [line for line in lines if line.get("channel") == "test consumer"]
    told = [line["event"] for line in own if line["log_level"] != "debug"]
    assert told == ["broker_connected"]  # the first time
