"""The worker, as it runs in production, on a real broker."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.protocol import Message
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.broker.topology import BILLING_ACCOUNTS, BILLING_REQUESTS, EVENTS
from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.event import Event, encode, routing_key
from libs.common.contracts.executor import RequestsFinished
from libs.common.settings import Secret
from services.billing.models import BillingAccount, UsageRecord
from services.billing.ports import Ports
from tests.support import queues, service_process
from tests.support.finished import finished
from tests.support.waiting import until


@pytest.fixture
async def publisher(rabbitmq_server: RabbitMq) -> AsyncIterator[RabbitMQPublisher]:
    await queues.reset(rabbitmq_server.url)
    async with RabbitMQPublisher(Secret(rabbitmq_server.url), name="test") as publisher:
        await until(publisher.is_ready)
        yield publisher


@pytest.fixture
def variables(database_url: Secret, rabbitmq_server: RabbitMq) -> dict[str, str]:
    return {"DATABASE_URL": database_url.reveal(), "BROKER_URL": rabbitmq_server.url}


def telling(event: Event) -> Message:
    return Message(EVENTS, routing_key(event), encode(event))


def batch(first: int, count: int = 50) -> Message:
    requests = tuple(finished(number) for number in range(first, first + count))
    return telling(RequestsFinished(requests=requests))


async def counted(ports: Ports) -> int:
    async with ports.db.transaction() as tx:
        return await tx.scalar(select(func.count()).select_from(UsageRecord)) or 0


async def test_what_the_others_tell_is_recorded_and_nonsense_is_parked(
    ports: Ports,
    publisher: RabbitMQPublisher,
    rabbitmq_server: RabbitMq,
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    nonsense = Message(EVENTS, "requests.finished", b'{"type":"requests.finished","requests":7}')
    newer = Message(EVENTS, "account.created", b'{"type":"account.created.2"}')
    opened = telling(AccountCreated(account_id="acc_1"))
    messages = [batch(0), nonsense, batch(25), opened, newer, opened]
    assert await publisher.publish_many(messages) == [None] * 6

    with service_process.running("billing", "worker", variables, tmp_path) as worker:
        await until(worker.is_ready)

        async def is_parked() -> bool:
            parked = [f"{queue}.parked" for queue in (BILLING_REQUESTS, BILLING_ACCOUNTS)]
            return [await queues.depth(rabbitmq_server.url, name) for name in parked] == [1, 1]

        async def is_counted() -> bool:
            return await counted(ports) == 75

        await until(is_counted)
        await until(is_parked)

    async with ports.db.transaction() as tx:
        assert list(await tx.scalars(select(BillingAccount.account_id))) == ["acc_1"]
    assert await queues.drain(rabbitmq_server.url, BILLING_REQUESTS) == []


async def test_a_worker_killed_again_and_again_counts_each_request_once(
    ports: Ports,
    publisher: RabbitMQPublisher,
    rabbitmq_server: RabbitMq,
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    with service_process.running("billing", "worker", variables, tmp_path) as worker:
        for round_ in range(4):
            first = round_ * 1_000
            tellings = [batch(first + 25 * number) for number in range(39)]
            assert await publisher.publish_many(tellings) == [None] * 39

            async def has_begun(least: int = first) -> bool:
                return await counted(ports) > least

            await until(has_begun)
            worker.process.kill()
            worker.process.start()

        async def is_all_counted() -> bool:
            is_empty = await queues.depth(rabbitmq_server.url, BILLING_REQUESTS) == 0
            return is_empty and await counted(ports) == 4_000

        await until(is_all_counted)


async def test_an_operator_sees_what_an_account_used(
    publisher: RabbitMQPublisher,
    ports: Ports,
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    await publisher.publish(batch(0))
    with service_process.running("billing", "worker", variables, tmp_path):

        async def is_counted() -> bool:
            return await counted(ports) == 50

        await until(is_counted)

    done = subprocess.run(  # noqa: ASYNC221  the command is ours, and nothing else runs
        [sys.executable, "-m", "services.billing", "usage", "show", "--account", "acc_1", "--json"],
        cwd=service_process.ROOT,
        env={"PATH": os.defpath} | {f"REQRUN_{name}": text for name, text in variables.items()},
        capture_output=True,
        check=True,
        timeout=60,
    )

    [total] = json.loads(done.stdout)
    assert (total["period"], total["state"]) == ("2026-03-01", "completed")
    assert (total["requests"], total["total_tokens"]) == (50, 750)


async def test_without_a_broker_the_worker_lives_and_is_not_ready(
    database_url: Secret, tmp_path: Path
) -> None:
    variables = {
        "DATABASE_URL": database_url.reveal(),
        "BROKER_URL": "amqp://nobody:nothing@127.0.0.1:1/",
    }
    with service_process.running("billing", "worker", variables, tmp_path) as worker:
        await until(worker.is_alive)

        assert not await worker.is_ready()
