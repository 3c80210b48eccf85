"""A hint that led to no claim yet is still the broker's."""

from collections.abc import Sequence

import pytest

from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis as RedisServer
from libs.common.broker.topology import WORK_FIRST
from libs.ledger.claim import Claim
from libs.ledger.connection import LedgerAway
from tests.support import queues
from tests.support.ledgers import bench
from tests.support.simulator import simulator
from tests.support.waiting import until
from tests.support.workers import worker


async def test_a_hint_that_could_not_be_claimed_goes_back_at_a_stop(
    ledger_url: str,
    rabbitmq_server: RabbitMq,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    async def is_away(_: Sequence[str]) -> list[Claim]:
        nonlocal asked
        asked += 1
        raise LedgerAway

    await queues.reset(rabbitmq_server.url)
    async with (
        bench(ledger_url) as ledger,
        simulator() as origin,
        worker(ledger, rabbitmq_server.url, redis_server.url, origin) as running,
    ):
        monkeypatch.setattr(ledger.executor, "claim", is_away)
        request_id = (await running.accept("sim-ok")).id
        await running.hint(request_id)
        await until(lambda: asked > 1)
        await running.end()

    assert await queues.drain(rabbitmq_server.url, WORK_FIRST) == [request_id.encode()]
