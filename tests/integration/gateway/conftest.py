"""A gateway with everything around it real; accounts is a stand-in on a socket.

Gateway, ledger and accounts are shared by the whole session; every test brings keys of its own,
each of a project of its own.
"""

import base64
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.redis import Redis
from libs.common import logs
from libs.common.settings import Secret
from services.gateway.settings import Settings
from tests.support import servers
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, bench
from tests.support.service_keys import ServiceKey

PEPPER = secrets.token_bytes(32)


@pytest.fixture(scope="session", autouse=True)
def _short_logs() -> None:
    """As in production: unconfigured, structlog renders every traceback with all its locals."""
    logs.configure("tests")


@pytest.fixture(scope="session")
def gateway_key() -> ServiceKey:
    return ServiceKey("gateway")


@pytest.fixture(scope="session")
async def accounts(gateway_key: ServiceKey) -> AsyncIterator[AccountsStandIn]:
    stand_in = AccountsStandIn(gateway_key, PEPPER)
    async with stand_in.running():
        yield stand_in


@pytest.fixture(scope="session")
def shared_ledger_url(postgresql_server: PostgreSql, ledger_template: str) -> Iterator[str]:
    with servers.database(postgresql_server, ledger_template) as address:
        yield address


@pytest.fixture(scope="session")
async def ledger(shared_ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(shared_ledger_url) as hands:
        yield hands


@pytest.fixture(scope="session")
def settings(
    shared_ledger_url: str,
    redis_server: Redis,
    accounts: AccountsStandIn,
    gateway_key: ServiceKey,
) -> Settings:
    """No broker listens at its address: accepting must not care."""
    return Settings(
        ledger_url=Secret(shared_ledger_url),
        broker_url=Secret("amqp://nobody:nothing@127.0.0.1:1/"),
        redis_url=Secret(redis_server.url),
        accounts_url=accounts.url,
        api_key_pepper=Secret(base64.b64encode(PEPPER).decode()),
        service_key=gateway_key.private,
        service_key_id=gateway_key.key_id,
        env="local",
        port=free_ports(),
        internal_port=free_ports(),
    )


@pytest.fixture(scope="session")
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with Gateway.running(settings) as running:
        yield running


@pytest.fixture
def key(accounts: AccountsStandIn) -> str:
    """A live key that may do everything; no gateway has seen it."""
    return accounts.issue()
