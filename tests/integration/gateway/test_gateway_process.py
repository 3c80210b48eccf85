"""The gateway as the process that runs in production."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.rabbitmq import RabbitMQConsumer
from libs.common.broker.topology import WORK_FIRST, WORK_REST
from libs.common.settings import Secret
from services.gateway.settings import Settings
from tests.support import queues
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]


def environment(settings: Settings) -> dict[str, str]:
    """What an operator would set."""
    values = msgspec.structs.asdict(settings)
    texts = {
        name: value.reveal() if isinstance(value, Secret) else str(value)
        for name, value in values.items()
        if name not in {"body_timeout", "wait", "drop_in_wait", "trusted_proxies", "head_timeout"}
    }
    ours = {f"REQRUN_{name.upper()}": text for name, text in texts.items()}
    return {"PATH": os.environ["PATH"], "REQRUN_WAIT": "20", **ours}


@asynccontextmanager
async def running(settings: Settings, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.gateway", *arguments),
        cwd=ROOT,
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def elsewhere(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, port=free_ports(), internal_port=free_ports())


async def test_a_sigterm_answers_who_waits_and_ends_with_zero(
    elsewhere: Settings, accounts: AccountsStandIn, ledger: Bench
) -> None:
    key = accounts.issue()
    project_id = accounts.of(key).project_id
    stored = "SELECT count(*) FROM live WHERE project_id = $1"
    async with running(elsewhere, "web") as process:
        there = Gateway(elsewhere)
        async with there.client, there.internal:
            await until(there.is_ready)
            await there.learn(key)
            waiting = asyncio.create_task(there.accept(key, wait=True))

            async def is_waiting() -> bool:
                return bool(await ledger.sql.fetchval(stored, project_id))

            await until(is_waiting)
            process.send_signal(signal.SIGTERM)
            answer = await waiting
        output, _ = await process.communicate()

    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert process.returncode == 0
    assert key.encode() not in output
    assert b"Hello" not in output


async def test_missing_settings_are_all_named_and_end_the_process(settings: Settings) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.gateway", "web"),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "REQRUN_LEDGER_URL": settings.ledger_url.reveal()},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert b"REQRUN_ACCOUNTS_URL" in errors
    assert b"REQRUN_SERVICE_KEY_ID" in errors


async def test_hints_go_out_after_the_commit_and_a_frozen_broker_delays_nobody(
    elsewhere: Settings, accounts: AccountsStandIn, rabbitmq_server: RabbitMq
) -> None:
    await queues.reset(rabbitmq_server.url)  # what other tests left would stand before our hint
    connected = msgspec.structs.replace(elsewhere, broker_url=Secret(rabbitmq_server.url))
    consumer = RabbitMQConsumer(
        connected.broker_url, name="test", queues=(WORK_FIRST, WORK_REST), prefetch=100
    )
    async with consumer, Gateway.running(connected) as gateway:
        key = await gateway.learn(accounts.issue())
        hinted: set[str] = set()

        async def is_hinted() -> bool:
            """A hint may be dropped, so there may have to be another request."""
            accepted = (await gateway.accept(key)).json()["id"]
            try:
                async with asyncio.timeout(1):
                    deliveries = await consumer.take(100)
            except TimeoutError:
                return False
            await consumer.ack(deliveries)
            hinted.update(one.body.decode() for one in deliveries)
            return accepted in hinted

        await until(is_hinted)
        rabbitmq_server.freeze()
        try:
            async with asyncio.timeout(10):
                answers = await gateway.flood(key, 50)
        finally:
            rabbitmq_server.thaw()

    assert {answer.status for answer in answers} == {200}
