"""The processes of accounts, as they run in production."""

from pathlib import Path

import httpx2
import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.topology import BILLING_ACCOUNTS
from libs.common.clock import SystemClock
from libs.common.contracts.accounts import RESOLVE_KEYS_PATH, AccountCreated
from libs.common.contracts.event import encode
from libs.common.contracts.plans import PlanName
from libs.common.settings import PREFIX
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import InvalidName
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from services.accounts.use_cases import accounts
from tests.support import queues, service_process
from tests.support.environments import environment_of
from tests.support.service_keys import ServiceKey
from tests.support.waiting import until


def variables(settings: Settings) -> dict[str, str]:
    """Without what the process itself is given, and without their prefix."""
    given = environment_of(settings)
    own = {
        "PATH",
        "REQRUN_ENV",
        "REQRUN_LOG_LEVEL",
        "REQRUN_HOST",
        "REQRUN_PORT",
        "REQRUN_INTERNAL_PORT",
    }
    kept = {name.removeprefix(PREFIX): text for name, text in given.items() if name not in own}
    return {**kept, "PORT": str(free_ports())}


async def test_web_answers_questions_and_needs_no_broker(
    settings: Settings, gateway_key: ServiceKey, tmp_path: Path
) -> None:
    with service_process.running("accounts", "web", variables(settings), tmp_path) as web:
        await until(web.is_ready)
        async with httpx2.AsyncClient(base_url=web.url, trust_env=False) as client:
            headers = gateway_key.headers("accounts", SystemClock())
            answer = await client.post(RESOLVE_KEYS_PATH, json={"keys": []}, headers=headers)

    assert (answer.status_code, answer.json()) == (200, {"contexts": []})


async def test_an_account_is_told_once_it_is_there(
    settings: Settings, ports: Ports, rabbitmq_server: RabbitMq, tmp_path: Path
) -> None:
    await queues.reset(rabbitmq_server.url)
    with pytest.raises(InvalidName):
        await accounts.create(ports, "\x00", PlanName.FREE, actor=OPERATOR)
    account = await accounts.create(ports, "Acme", PlanName.FREE, actor=OPERATOR)

    given = variables(settings) | {"BROKER_URL": rabbitmq_server.url}
    with service_process.running("accounts", "worker", given, tmp_path) as worker:
        await until(worker.is_ready)

        async def is_told() -> bool:
            return await queues.depth(rabbitmq_server.url, BILLING_ACCOUNTS) > 0

        await until(is_told)

    told = await queues.drain(rabbitmq_server.url, BILLING_ACCOUNTS)
    assert told == [encode(AccountCreated(account_id=account.id, plan="free"))]
