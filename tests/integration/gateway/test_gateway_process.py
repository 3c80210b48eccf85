"""The gateway as the process that runs in production."""

import asyncio
import os
import signal
import sys

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
from tests.support.gateway_process import ROOT, running
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench
from tests.support.waiting import until


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
