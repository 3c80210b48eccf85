"""Publishing to a real RabbitMQ."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.protocol import Message, PublishFailed, Unsent
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.broker.topology import (
    BILLING_REQUESTS,
    EVENTS,
    WORK,
    WORK_FIRST,
    WORK_REST,
)
from libs.common.settings import Secret
from tests.support import queues
from tests.support.waiting import until


@pytest.fixture
async def broker(rabbitmq_server: RabbitMq) -> str:
    await queues.reset(rabbitmq_server.url)
    return rabbitmq_server.url


@pytest.fixture
async def publisher(broker: str) -> AsyncIterator[RabbitMQPublisher]:
    async with RabbitMQPublisher(Secret(broker), name="test") as publisher:
        await until(publisher.is_ready)
        yield publisher


def hint(number: int, queue: str = WORK_FIRST) -> Message:
    return Message(WORK, queue, b"rr_%026d" % number)


async def test_a_confirmed_event_is_in_its_queue_and_persistent(
    broker: str, publisher: RabbitMQPublisher
) -> None:
    await publisher.publish(Message(EVENTS, "requests.finished", b"one", event_id="requests/7"))

    [message] = await queues.drain_messages(broker, BILLING_REQUESTS)
    assert message.body == b"one"
    assert message.delivery_mode == 2
    assert message.headers["event_id"] == "requests/7"


async def test_a_hint_need_not_survive_the_broker(
    broker: str, publisher: RabbitMQPublisher
) -> None:
    await publisher.publish(hint(1))

    [message] = await queues.drain_messages(broker, WORK_FIRST)
    assert message.delivery_mode == 1


@pytest.mark.alone
async def test_a_burst_arrives_whole_and_in_order(
    broker: str, publisher: RabbitMQPublisher
) -> None:
    messages = [hint(number) for number in range(1_000)]

    assert await publisher.publish_many(messages) == [None] * 1_000

    assert await queues.drain(broker, WORK_FIRST) == [m.body for m in messages]


async def test_bursts_at_the_same_time_do_not_mix_their_verdicts(
    broker: str, publisher: RabbitMQPublisher
) -> None:
    async def burst(start: int) -> list[Unsent | None]:
        keys = [WORK_FIRST if n % 3 else "nobody.listens" for n in range(start, start + 60)]
        return await publisher.publish_many(
            [Message(WORK, key, b"%d" % n) for n, key in enumerate(keys, start)]
        )

    verdicts = await asyncio.gather(*(burst(start) for start in range(0, 1_200, 60)))

    expected = [None if n % 3 else Unsent.UNROUTABLE for n in range(1_200)]
    assert [verdict for burst in verdicts for verdict in burst] == expected
    arrived = {int(body) for body in await queues.drain(broker, WORK_FIRST)}
    assert arrived == {n for n in range(1_200) if n % 3}


async def test_an_empty_burst_is_nothing(publisher: RabbitMQPublisher) -> None:
    assert await publisher.publish_many([]) == []


@pytest.mark.parametrize("size", [0, 1, 131_063, 131_064, 131_065, 400_000])
async def test_a_body_of_any_size_arrives_whole(
    broker: str, publisher: RabbitMQPublisher, size: int
) -> None:
    body = bytes(index % 251 for index in range(size))

    await publisher.publish(Message(WORK, WORK_FIRST, body, event_id="requests/1"))

    assert await queues.drain(broker, WORK_FIRST) == [body]


async def test_an_unroutable_message_raises(publisher: RabbitMQPublisher) -> None:
    with pytest.raises(PublishFailed) as caught:
        await publisher.publish(Message(EVENTS, "nobody.listens", b"{}"))

    assert caught.value.reason is Unsent.UNROUTABLE


async def test_a_missing_binding_is_put_back_after_the_first_message_that_needed_it(
    broker: str, publisher: RabbitMQPublisher
) -> None:
    async with queues.side_channel(broker) as channel:
        await (await channel.get_queue(WORK_REST)).unbind(WORK, WORK_REST)

    assert await publisher.publish_many([hint(1, WORK_REST)]) == [Unsent.UNROUTABLE]

    async def is_sent() -> bool:
        return await publisher.publish_many([hint(2, WORK_REST)]) == [None]

    await until(is_sent)
    assert set(await queues.drain(broker, WORK_REST)) == {hint(2).body}


async def test_a_missing_exchange_is_put_back(broker: str, publisher: RabbitMQPublisher) -> None:
    async with queues.side_channel(broker) as channel:
        await (await channel.get_exchange(WORK)).delete()

    assert await publisher.publish_many([hint(1)]) != [None]

    async def is_sent() -> bool:
        return await publisher.publish_many([hint(2)]) == [None]

    await until(is_sent)


async def test_a_full_queue_refuses_and_the_publisher_says_so(
    rabbitmq_server: RabbitMq, broker: str, publisher: RabbitMQPublisher
) -> None:
    limit = '{"max-length":1,"overflow":"reject-publish"}'
    control = rabbitmq_server.control
    await asyncio.to_thread(control, "set_policy", "full", "^work.first$", limit)
    try:
        reasons = [(await publisher.publish_many([hint(n)]))[0] for n in range(20)]
    finally:
        await asyncio.to_thread(control, "clear_policy", "full")

    assert reasons[0] is None
    assert reasons[-1] is Unsent.REFUSED
    assert len(await queues.drain(broker, WORK_FIRST)) == reasons.count(None)


@pytest.mark.alone
@pytest.mark.fault(14)
async def test_without_a_broker_a_publisher_starts_is_not_ready_and_answers_at_once() -> None:
    url = Secret(f"amqp://reqrun:secret@127.0.0.1:{free_ports(1)}/")
    async with RabbitMQPublisher(url, name="test") as publisher:
        began = time.monotonic()
        reasons = await publisher.publish_many([hint(1), hint(2)])

        assert reasons == [Unsent.BROKER_AWAY] * 2
        assert not publisher.is_ready()
        assert time.monotonic() - began < 2


async def test_a_publisher_that_lost_its_connection_is_back_and_says_so_once(
    rabbitmq_server: RabbitMq, broker: str
) -> None:
    reconnects: list[float] = []
    async with RabbitMQPublisher(
        Secret(broker),
        name="cut",
        timeout=timedelta(seconds=5),
        on_reconnect=lambda: reconnects.append(time.monotonic()),
    ) as publisher:
        await until(publisher.is_ready)
        await publisher.publish(hint(1))
        assert reconnects == []

        await asyncio.to_thread(rabbitmq_server.control, "close_all_connections", "test")
        await until(lambda: len(reconnects) == 1)

        await publisher.publish(hint(2))
        assert len(reconnects) == 1
