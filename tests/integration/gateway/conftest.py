"""A gateway with everything around it real; accounts is a stand-in on a socket.

Gateway, ledger and accounts are shared by the whole session; every test brings keys of its own,
each of a project of its own.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from litestar import get
from litestar.params import FromPath, FromQuery
from msgspec import Raw

from deploy.local.ports import free_ports
from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.redis import Redis
from libs.common import logs
from libs.common.clock import SystemClock
from libs.common.contracts.executor import AUDIENCE, ModelsAnswer, models_path
from libs.common.errors import Unavailable
from libs.common.settings import Secret
from libs.common.tokens import ServiceTokens, TokenVerifier
from libs.common.web.app import create, serve
from libs.common.web.guards import service_token
from services.accounts.adapters.gateway import HttpRequests
from services.gateway.settings import Settings
from tests.support import servers
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, bench
from tests.support.overseen import Project
from tests.support.service_keys import ServiceKey

PEPPER = secrets.token_bytes(32)
MODELS = b'[ {"id":"gpt-5-nano", "object":"model", "created":1.0} ]'


class NoModels(Unavailable):
    """As an executor words it."""

    code = "models_unavailable"


@pytest.fixture(scope="session", autouse=True)
def _short_logs() -> None:
    """As in production: unconfigured, structlog renders every traceback with all its locals."""
    logs.configure("tests")


@pytest.fixture(scope="session")
def gateway_key() -> ServiceKey:
    return ServiceKey("gateway")


@pytest.fixture(scope="session")
def accounts_key() -> ServiceKey:
    return ServiceKey("accounts")


@pytest.fixture(scope="session")
def billing_key() -> ServiceKey:
    return ServiceKey("billing")


@pytest.fixture(scope="session")
def service_keys(
    gateway_key: ServiceKey, accounts_key: ServiceKey, billing_key: ServiceKey
) -> tuple[ServiceKey, ...]:
    """The gateway's own, and those of who asks it; it knows them all."""
    return gateway_key, accounts_key, billing_key


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
async def executor_url(gateway_key: ServiceKey) -> AsyncIterator[str]:
    """Of an executor that answers questions and runs nothing."""
    port, stop = free_ports(), asyncio.Event()
    verifier = TokenVerifier({gateway_key.key_id: gateway_key.public}, AUDIENCE, SystemClock())

    @get(models_path("{project_id:str}"), guards=[service_token(verifier, "gateway")])
    async def list_models(project_id: FromPath[str], mode: FromQuery[str]) -> ModelsAnswer:
        if mode == "test":
            raise NoModels("The provider does not answer.")
        return ModelsAnswer(Raw(MODELS if project_id.startswith("prj_") else b"[]"))

    serving = asyncio.ensure_future(serve(create([list_models]), "127.0.0.1", port)(stop))
    yield f"http://127.0.0.1:{port}"
    stop.set()
    await serving


@pytest.fixture(scope="session")
def settings(
    shared_ledger_url: str,
    redis_server: Redis,
    accounts: AccountsStandIn,
    executor_url: str,
    service_keys: tuple[ServiceKey, ...],
) -> Settings:
    """No broker listens at its address: accepting must not care."""
    return Settings(
        ledger_url=Secret(shared_ledger_url),
        broker_url=Secret("amqp://nobody:nothing@127.0.0.1:1/"),
        redis_url=Secret(redis_server.url),
        accounts_url=accounts.url,
        executor_url=executor_url,
        api_key_pepper=Secret(base64.b64encode(PEPPER).decode()),
        data_plane_keys=accounts.data_plane_keys,
        service_key=service_keys[0].private,
        service_key_id=service_keys[0].key_id,
        service_public_keys={key.key_id: key.public for key in service_keys},
        env="local",
        port=free_ports(),
        internal_port=free_ports(),
        dashboard_url="https://app.reqrun.test/",
    )


@pytest.fixture(scope="session")
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with Gateway.running(settings) as running:
        yield running


@pytest.fixture
def key(accounts: AccountsStandIn) -> str:
    """A live key that may do everything; no gateway has seen it."""
    return accounts.issue()


@pytest.fixture(scope="session")
async def asking(gateway: Gateway, accounts_key: ServiceKey) -> AsyncIterator[HttpRequests]:
    tokens = ServiceTokens(
        "accounts", accounts_key.key_id, accounts_key.private.reveal(), SystemClock()
    )
    url = f"http://127.0.0.1:{gateway.settings.internal_port}"
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        yield HttpRequests(client, tokens)


@pytest.fixture
def project(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench, asking: HttpRequests
) -> Project:
    return Project(gateway, accounts, ledger, asking)
