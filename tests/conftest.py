"""Real servers for every test that asks: started once a session, at first use."""

from collections.abc import Iterator

import pytest

from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis
from tests.support import servers


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSql]:
    with servers.running(PostgreSql) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMq]:
    with servers.running(RabbitMq) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with servers.running(Redis) as server:
        yield server


@pytest.fixture
def empty_database(postgresql_server: PostgreSql) -> Iterator[str]:
    """The address of a new, empty database, for the superuser."""
    with servers.database(postgresql_server) as address:
        yield address
