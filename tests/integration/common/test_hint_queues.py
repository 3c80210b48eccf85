"""Queues of hints on a broker of one node: classic, as its definitions say (decision 0014)."""

from collections.abc import Iterator

import aio_pika
import pytest
from aio_pika.exceptions import ChannelPreconditionFailed

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.definitions import definitions
from libs.common.broker.protocol import Message
from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.broker.topology import CLASSIC, HINT_QUEUES, QUORUM, WORK, WORK_FIRST, WORK_REST
from libs.common.settings import Secret
from tests.support import queues, servers
from tests.support.waiting import until


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitMq]:
    with servers.folder_for_servers() as folder:
        server = RabbitMq(folder / "rabbitmq", password="a-password")
        server.definitions = definitions([], is_one_node=True)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
async def broker(node: RabbitMq) -> str:
    await queues.reset(node.url)
    return node.url


async def is_of_type(broker: str, name: str, arguments: dict[str, str]) -> bool:
    """A declaration with another type than the queue's is refused."""
    async with queues.side_channel(broker) as channel:
        try:
            await channel.declare_queue(name, durable=True, arguments=dict(arguments))
        except ChannelPreconditionFailed:
            return False
    return True


async def exchange_hints(broker: str) -> list[bytes]:
    """One hint through each queue, sent and taken as services do."""
    url = Secret(broker)
    publisher = RabbitMQPublisher(url, name="gateway")
    consumer = RabbitMQConsumer(url, name="executor", queues=HINT_QUEUES, prefetch=10)
    async with publisher, consumer:
        await until(publisher.is_ready)
        await publisher.publish(Message(WORK, WORK_FIRST, b"rr_1"))
        await publisher.publish(Message(WORK, WORK_REST, b"rr_2"))
        taken = [*await consumer.take(1), *await consumer.take(1)]
        await consumer.ack(taken)
    return sorted(one.body for one in taken)


async def test_services_leave_them_as_they_are_and_use_them(broker: str) -> None:
    assert await exchange_hints(broker) == [b"rr_1", b"rr_2"]
    assert all([await is_of_type(broker, name, CLASSIC) for name in HINT_QUEUES])


async def test_one_that_is_missing_is_declared_with_a_quorum_and_used(broker: str) -> None:
    async with await aio_pika.connect(broker) as connection, connection.channel() as channel:
        await channel.queue_delete(WORK_FIRST)

    assert await exchange_hints(broker) == [b"rr_1", b"rr_2"]
    assert await is_of_type(broker, WORK_FIRST, QUORUM)
    assert await is_of_type(broker, WORK_REST, CLASSIC)
