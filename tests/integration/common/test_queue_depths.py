"""How much waits in each queue is told, and nothing is told while nobody knows."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker import depths
from libs.common.broker.protocol import Message, PublishFailed
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.broker.topology import BILLING_REQUESTS, PARKED, queue_names
from libs.common.settings import Secret
from tests.support import queues
from tests.support.waiting import until

GONE = "amqp://nobody@127.0.0.1:1/"


@pytest.fixture
async def publisher(rabbitmq_server: RabbitMq) -> AsyncIterator[RabbitMQPublisher]:
    await queues.reset(rabbitmq_server.url)
    async with RabbitMQPublisher(Secret(rabbitmq_server.url), name="test") as opened:
        await until(opened.is_ready)
        yield opened


def told(queue: str) -> float | None:
    return REGISTRY.get_sample_value("reqrun_queue_messages", {"queue": queue})


async def test_a_parked_message_is_seen(publisher: RabbitMQPublisher) -> None:
    parked = f"{BILLING_REQUESTS}.parked"
    await publisher.publish(Message(PARKED, BILLING_REQUESTS, b"nobody understands this"))

    async def is_counted() -> bool:  # a queue that is confirmed may be counted a moment later
        return (await publisher.count_messages([parked]))[parked] == 1

    await until(is_counted)
    stop = asyncio.Event()
    counting = asyncio.create_task(depths.keep_counting(publisher, stop))
    await until(lambda: told(parked) == 1)
    stop.set()
    await counting
    assert {name: told(name) for name in queue_names() if name != parked} == dict.fromkeys(
        (name for name in queue_names() if name != parked), 0
    )


async def test_while_the_broker_is_away_no_number_stands() -> None:
    depths.MESSAGES.labels(BILLING_REQUESTS).set(7)
    stop = asyncio.Event()
    async with RabbitMQPublisher(Secret(GONE), name="test") as away:
        with pytest.raises(PublishFailed):
            await away.count_messages([BILLING_REQUESTS])
        counting = asyncio.create_task(depths.keep_counting(away, stop))
        await until(lambda: told(BILLING_REQUESTS) is None)
        stop.set()
        await counting
