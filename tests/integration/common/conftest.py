"""An outbox in a database of its own, and a broker whose queues are empty."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common import outbox
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.database import Database
from libs.common.settings import Secret
from tests.support import queues
from tests.support.waiting import until


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[Database]:
    """A database with an outbox and nothing else."""
    async with Database(Secret(empty_database), application="test") as database:
        async with database.transaction() as tx:
            for statement in outbox.create_sql():
                await tx.execute(text(statement))
        yield database


@pytest.fixture
async def broker(rabbitmq_server: RabbitMq) -> str:
    await queues.reset(rabbitmq_server.url)
    return rabbitmq_server.url


@pytest.fixture
async def publisher(broker: str) -> AsyncIterator[RabbitMQPublisher]:
    async with RabbitMQPublisher(Secret(broker), name="test") as publisher:
        await until(publisher.is_ready)
        yield publisher
