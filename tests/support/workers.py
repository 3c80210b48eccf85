"""A whole executor in the test's own process: real ledger, broker, Redis and simulator."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
from redis.asyncio import Redis

from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.broker.topology import WORK_FIRST, WORK_REST
from libs.common.clock import SystemClock
from libs.common.content import BodySeal, new_body_key
from libs.common.crypto import SealingKey, SealingKeyring
from libs.common.ids import new_id
from libs.common.settings import Secret
from libs.common.tokens import ServiceTokens
from libs.ledger.accept import Accepted, Hint
from libs.ledger.hints import to_messages
from services.executor.adapters.accounts import AccountsProjects, Seals
from services.executor.adapters.seals import OpenedSeals
from services.executor.adapters.wakeups import RedisWakeUps
from services.executor.ports import WorkerPorts
from services.executor.use_cases.work import work
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.ledgers import Bench, submission
from tests.support.provider_calls import provider_with
from tests.support.service_keys import ServiceKey
from tests.support.waiting import until


class Kept(msgspec.Struct, frozen=True):
    """A request as it was accepted: its id, and what opens its bodies."""

    id: str
    seal: BodySeal


class Worker(msgspec.Struct, frozen=True):
    """A running worker, its ports, the accounts it asks, and the way to send it hints."""

    ports: WorkerPorts
    publisher: RabbitMQPublisher
    stop: asyncio.Event
    task: "asyncio.Task[None]"
    simulator_url: str
    accounts: AccountsStandIn
    ledger: Bench

    async def accept(self, model: str, **changes: Any) -> Kept:
        """Accept a test-mode request for `model`, its body sealed as a gateway would."""
        fields: dict[str, Any] = {"mode": "test", "project_id": "prj_a", "running_limit": 100}
        fields |= changes
        request_id, body_key = new_id("rr"), new_body_key()
        seal = self.accounts.data_key(fields["project_id"]).of(request_id, body_key)
        messages = [{"role": "user", "content": "hi"}]
        body = msgspec.json.encode({"model": model, "messages": messages})
        sealed = {"id": request_id, "body": seal.seal(body, "request"), "body_key": body_key}
        accepted = await self.ledger.gateway.accept(submission(model=model, **(sealed | fields)))
        assert isinstance(accepted, Accepted)
        return Kept(request_id, seal)

    async def is_called(self) -> bool:
        """Whether the simulator has seen a call."""
        async with httpx2.AsyncClient(base_url=self.simulator_url, trust_env=False) as client:
            return bool((await client.get("/_calls")).json())

    async def hint(self, *ids: str, is_first: bool = True) -> None:
        """Publish a hint for each."""
        assert not any(
            await self.publisher.publish_many(to_messages([Hint(i, is_first) for i in ids]))
        )

    async def end(self) -> None:
        """Ask it to stop and wait until it has."""
        self.stop.set()
        await self.task


def _consumer(url: str, queue: str) -> RabbitMQConsumer:
    return RabbitMQConsumer(Secret(url), name="worker", queues=(queue,), prefetch=64)


def _opens(key: SealingKey) -> OpenedSeals:
    return OpenedSeals(SealingKeyring([key]))


@asynccontextmanager
async def worker(
    ledger: Bench, broker_url: str, redis_url: str, simulator_url: str, **changes: Any
) -> AsyncIterator[Worker]:
    """Run a worker; `changes` replace ports."""
    redis = Redis.from_url(redis_url)
    stop = asyncio.Event()
    key = ServiceKey("executor")
    accounts = AccountsStandIn(ServiceKey("gateway"), b"p" * 32, key)
    async with (
        accounts.running(),
        httpx2.AsyncClient(base_url=accounts.url, trust_env=False) as client,
        _consumer(broker_url, WORK_FIRST) as first,
        _consumer(broker_url, WORK_REST) as rest,
        RabbitMQPublisher(Secret(broker_url), name="test") as publisher,
        provider_with() as provider,
    ):
        ports = WorkerPorts(
            clock=SystemClock(),
            ledger=ledger.executor,
            first_hints=first,
            rest_hints=rest,
            provider=provider,
            projects=AccountsProjects(
                client,
                ServiceTokens("executor", key.key_id, key.private.reveal(), SystemClock()),
                Seals(_opens(accounts.executor), _opens(accounts.data_plane)),
                f"{simulator_url}/v1",
            ),
            wakeups=RedisWakeUps(redis),
            places=64,
            backoff_scale=0.01,
            grace=timedelta(seconds=20),
            chance=random.Random(1),  # noqa: S311  # a seed, to run it again
        )
        ports = msgspec.structs.replace(ports, **changes)
        await until(lambda: first.is_ready() and rest.is_ready())
        await until(publisher.is_ready)
        task = asyncio.create_task(work(ports, stop))
        try:
            yield Worker(ports, publisher, stop, task, simulator_url, accounts, ledger)
        finally:
            stop.set()
            await asyncio.gather(task, return_exceptions=True)
            await redis.aclose()
