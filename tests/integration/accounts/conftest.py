"""Accounts on a real database, as the role that production gives it."""

import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.postgresql import PostgreSql
from libs.common.crypto import SealingKey
from libs.common.database import Database
from libs.common.settings import Secret
from libs.common.tokens import PublicServiceKey
from services.accounts import app
from services.accounts.domain.contacts import Contacts
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from tests.support.dashboard import Dashboard, running
from tests.support.frozen_clock import FrozenClock
from tests.support.operators import Operator
from tests.support.service_database import ServiceDatabase
from tests.support.service_keys import ServiceKey

CONTACTS = Contacts(
    operator="Example Ltd",
    privacy="privacy@example.org",
    security="security@example.org",
    support="support@example.org",
    region="Germany",
)


@pytest.fixture(scope="session")
def gateway_key() -> ServiceKey:
    return ServiceKey("gateway")


@pytest.fixture(scope="session")
def executor_key() -> ServiceKey:
    return ServiceKey("executor")


@pytest.fixture(scope="session")
def executor_sealing_key() -> SealingKey:
    return SealingKey.generate()


@pytest.fixture(scope="session")
def data_plane_key() -> SealingKey:
    return SealingKey.generate()


@pytest.fixture(scope="session")
async def accounts_template(postgresql_server: PostgreSql) -> AsyncIterator[ServiceDatabase]:
    made = ServiceDatabase(postgresql_server, "accounts")
    await made.create(app.VERSIONS)
    yield made
    made.drop()


@pytest.fixture
def accounts_address(accounts_template: ServiceDatabase) -> Iterator[str]:
    """A database of accounts without a row, its address for the superuser."""
    with accounts_template.lent() as address:
        yield address


@pytest.fixture(scope="session")
def askers(gateway_key: ServiceKey, executor_key: ServiceKey) -> dict[str, PublicServiceKey]:
    """Who may ask, by key id."""
    return {key.key_id: key.public for key in (gateway_key, executor_key)}


@pytest.fixture
def settings(
    accounts_template: ServiceDatabase,
    accounts_address: str,
    executor_sealing_key: SealingKey,
    data_plane_key: SealingKey,
    askers: dict[str, PublicServiceKey],
) -> Settings:
    key = ServiceKey("accounts")
    return Settings(
        env="local",
        database_url=accounts_template.url(accounts_address),
        broker_url=Secret("amqp://nobody@127.0.0.1:1/"),
        api_key_pepper=Secret(b64encode(secrets.token_bytes(32)).decode()),
        executor_public_key=executor_sealing_key.public_text(),
        data_plane_public_key=data_plane_key.public_text(),
        service_public_keys=askers,
        service_key=key.private,
        service_key_id=key.key_id,
        gateway_url=f"http://127.0.0.1:{free_ports()}",
        executor_url=f"http://127.0.0.1:{free_ports()}",
        billing_url=f"http://127.0.0.1:{free_ports()}",
        smtp_url=Secret(f"smtp+plain://127.0.0.1:{free_ports()}"),
        mail_from="ReqRun <reqrun@example.org>",
        dashboard_url="http://127.0.0.1:8411",
        api_url="http://127.0.0.1:8410",
        contacts=CONTACTS,
        open_hosts=("127.0.0.1",),
    )


@pytest.fixture
async def dashboard(settings: Settings, ports: Ports) -> AsyncIterator[Dashboard]:
    """The dashboard beside an execution plane of its own."""
    async with running(settings, ports) as made:
        yield made


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def ports(settings: Settings, clock: FrozenClock) -> AsyncIterator[Ports]:
    async with (
        Database(settings.database_url, application="test") as db,
        app.open_ports(settings, db, clock) as made,
    ):
        yield made


@pytest.fixture
def operator(settings: Settings) -> Operator:
    return Operator(settings)
