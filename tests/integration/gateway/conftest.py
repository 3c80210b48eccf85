"""A gateway with everything around it real; accounts is a stand-in on a socket."""

import base64
import secrets
from collections.abc import AsyncIterator

import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.redis import Redis
from libs.common.settings import Secret
from services.gateway.settings import Settings
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, bench
from tests.support.service_keys import ServiceKey

PEPPER = secrets.token_bytes(32)


@pytest.fixture(scope="session")
def gateway_key() -> ServiceKey:
    return ServiceKey("gateway")


@pytest.fixture
async def accounts(gateway_key: ServiceKey) -> AsyncIterator[AccountsStandIn]:
    stand_in = AccountsStandIn(gateway_key, PEPPER)
    async with stand_in.running():
        yield stand_in


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(ledger_url) as hands:
        yield hands


@pytest.fixture
def settings(
    ledger_url: str, redis_server: Redis, accounts: AccountsStandIn, gateway_key: ServiceKey
) -> Settings:
    """No broker listens at its address: accepting must not care."""
    return Settings(
        ledger_url=Secret(ledger_url),
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


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with Gateway.running(settings) as running:
        yield running
