"""Billing on a real database, as the role that production gives it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.servers.postgresql import PostgreSql
from libs.common.database import Database
from libs.common.settings import Secret
from services.billing import app
from services.billing.ports import Ports
from tests.support.frozen_clock import FrozenClock
from tests.support.service_database import ServiceDatabase


@pytest.fixture(scope="session")
async def billing_template(postgresql_server: PostgreSql) -> AsyncIterator[ServiceDatabase]:
    made = ServiceDatabase(postgresql_server, "billing")
    await made.create(app.VERSIONS)
    yield made
    made.drop()


@pytest.fixture
def billing_address(billing_template: ServiceDatabase) -> Iterator[str]:
    """A database of billing without a row, its address for the superuser."""
    with billing_template.lent() as address:
        yield address


@pytest.fixture
def database_url(billing_template: ServiceDatabase, billing_address: str) -> Secret:
    return billing_template.url(billing_address)


@pytest.fixture
async def ports(database_url: Secret) -> AsyncIterator[Ports]:
    async with Database(database_url, application="test") as db:
        yield Ports(db=db, clock=FrozenClock())
