"""A RabbitMQ that boots with our definitions: users, queues and limits as rendered."""

import asyncio
import os
import secrets
from collections.abc import Iterator

import aio_pika
import pytest
from aio_pika.exceptions import ChannelClosed

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker import topology
from libs.common.broker.definitions import GRANTS, SALT_BYTES, User, definitions
from libs.common.broker.protocol import Message
from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.broker.topology import EVENTS, PARKED, WORK, WORK_FIRST
from libs.common.settings import Secret
from tests.support import queues, servers
from tests.support.waiting import until

PASSWORDS = {name: secrets.token_urlsafe(8) for name in GRANTS}


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitMq]:
    users = [
        User(
            name=name,
            password=Secret(PASSWORDS[name]),
            salt=os.urandom(SALT_BYTES),
            grant=grant,
        )
        for name, grant in GRANTS.items()
    ]
    with servers.folder_for_servers() as folder:
        server = RabbitMq(folder / "rabbitmq", password=secrets.token_urlsafe(8))
        server.definitions = definitions(users)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def url(node: RabbitMq, user: str) -> Secret:
    return Secret(node.user_url(user, PASSWORDS[user]))


async def test_every_queue_is_there_before_any_service(node: RabbitMq) -> None:
    for name in topology.queue_names():
        assert await queues.depth(node.url, name) == 0


@pytest.mark.parametrize("user", sorted(GRANTS))
async def test_every_service_can_connect_and_declare_what_is_missing(
    node: RabbitMq, user: str
) -> None:
    async with RabbitMQPublisher(url(node, user), name=user) as publisher:
        await until(publisher.is_ready)


async def test_a_hint_goes_from_the_gateway_to_the_executor(node: RabbitMq) -> None:
    gateway = RabbitMQPublisher(url(node, "gateway"), name="gateway")
    executor = RabbitMQConsumer(
        url(node, "executor"), name="executor", queues=(WORK_FIRST,), prefetch=10
    )
    async with gateway, executor:
        await until(gateway.is_ready)
        await gateway.publish(Message(WORK, WORK_FIRST, b"rr_1"))
        deliveries = await executor.take(1)
        await executor.ack(deliveries)

    assert [delivery.body for delivery in deliveries] == [b"rr_1"]


@pytest.mark.parametrize(
    ("user", "exchange"),
    [("gateway", EVENTS), ("accounts", WORK), ("billing", WORK), ("gateway", PARKED)],
)
async def test_a_service_may_not_send_where_it_has_no_business(
    node: RabbitMq, user: str, exchange: str
) -> None:
    connection = await aio_pika.connect(url(node, user).reveal())
    async with connection, connection.channel() as channel:
        target = await channel.get_exchange(exchange, ensure=False)
        with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
            await target.publish(aio_pika.Message(b"x"), WORK_FIRST)


@pytest.mark.parametrize(
    ("user", "queue"),
    [("gateway", WORK_FIRST), ("accounts", WORK_FIRST), ("executor", "billing.requests")],
)
async def test_a_service_may_not_read_what_is_not_for_it(
    node: RabbitMq, user: str, queue: str
) -> None:
    connection = await aio_pika.connect(url(node, user).reveal())
    async with connection, connection.channel() as channel:
        source = await channel.get_queue(queue, ensure=False)
        with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
            await source.get(fail=False)


@pytest.mark.fault(26)
async def test_a_hint_that_is_never_acked_is_parked_in_the_end(node: RabbitMq) -> None:
    limit = next(q.delivery_limit for q in topology.QUEUES if q.name == WORK_FIRST)
    publisher = RabbitMQPublisher(url(node, "executor"), name="executor")
    consumer = RabbitMQConsumer(
        url(node, "executor"), name="executor", queues=(WORK_FIRST,), prefetch=1
    )
    async with publisher, consumer:
        await until(publisher.is_ready)
        await publisher.publish(Message(WORK, WORK_FIRST, b"rr_poison"))
        for _ in range(limit + 1):
            await consumer.give_back(await consumer.take(1))

        async def is_parked() -> bool:
            return await queues.depth(node.url, f"{WORK_FIRST}.parked") == 1

        await until(is_parked)

    assert await queues.drain(node.url, f"{WORK_FIRST}.parked") == [b"rr_poison"]


async def test_after_a_restart_the_definitions_are_loaded_again_without_harm(
    node: RabbitMq,
) -> None:
    async with RabbitMQPublisher(url(node, "gateway"), name="gateway") as publisher:
        await until(publisher.is_ready)
        await publisher.publish(Message(WORK, WORK_FIRST, b"rr_kept"))
    await asyncio.to_thread(node.restart)

    assert await queues.drain(node.url, WORK_FIRST) == [b"rr_kept"]
