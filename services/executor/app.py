"""Composition root of the executor: the only file that names concrete classes."""

import asyncio
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import httpx2
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.broker.topology import WORK_FIRST, WORK_REST
from libs.common.clock import SystemClock
from libs.common.crypto import SealingKey, SealingKeyring
from libs.common.database import Database
from libs.common.outbox import Relay
from libs.common.runtime import Loop
from libs.common.settings import Secret
from libs.common.tokens import ServiceTokens
from libs.common.web import health
from libs.common.web.app import create, serve
from libs.ledger.ledger import DispatcherLedger, ExecutorLedger
from libs.ledger.orphans import CrashBackoff
from services.executor.adapters.accounts import AccountsConnections
from services.executor.adapters.provider import Provider, ProviderOptions
from services.executor.adapters.wakeups import RedisWakeUps
from services.executor.ports import DispatcherPorts, WorkerPorts
from services.executor.settings import DispatcherSettings, Settings
from services.executor.use_cases.dispatch import dispatch, keep_up
from services.executor.use_cases.work import work

SERVICE: Final = "executor"

_PREFETCH: Final = 64
_REDIS_SECONDS: Final = 0.5
_ACCOUNTS_CONNECTIONS: Final = 16


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[list[Loop]]:
    """The worker's loops, with everything they need open."""
    name = settings.executor_name or _made_up_name()
    ledger = ExecutorLedger(settings.ledger_url.reveal(), owner=name)
    first, rest = (
        RabbitMQConsumer(settings.broker_url, name=name, queues=(queue,), prefetch=_PREFETCH)
        for queue in (WORK_FIRST, WORK_REST)
    )
    redis = _redis(settings.redis_url)
    provider = Provider(
        ProviderOptions(
            open_hosts=(*settings.open_hosts, _host(settings.simulator_url)),
            max_answer_bytes=settings.answer_bytes,
        )
    )
    async with first, rest, _accounts(settings) as client:
        ports = WorkerPorts(
            clock=SystemClock(),
            ledger=ledger,
            first_hints=first,
            rest_hints=rest,
            provider=provider,
            connections=_connections(settings, client),
            wakeups=RedisWakeUps(redis),
            places=settings.places,
            backoff_scale=settings.backoff_scale,
            grace=settings.grace,
            chance=random.SystemRandom(),
        )

        async def is_ready() -> bool:
            return first.is_ready() and rest.is_ready() and await ledger.database.is_ready()

        async def run(stop: asyncio.Event) -> None:
            await work(ports, stop)

        try:
            yield [run, _health(settings, is_ready)]
        finally:
            await provider.close()
            await ledger.database.close()
            await redis.aclose()


@asynccontextmanager
async def open_dispatcher(settings: DispatcherSettings) -> AsyncIterator[list[Loop]]:
    """The dispatcher's loops, the outbox relay among them."""
    came_back = asyncio.Event()
    ledger = DispatcherLedger(
        settings.ledger_url.reveal(),
        backoff=CrashBackoff(
            base=timedelta(seconds=0.5 * settings.backoff_scale),
            cap=timedelta(minutes=5 * settings.backoff_scale),
        ),
    )

    def note_return() -> None:
        came_back.set()
        relay.repeat()

    publisher = RabbitMQPublisher(settings.broker_url, name="dispatcher", on_reconnect=note_return)
    redis = _redis(settings.redis_url)
    outbox = Database(settings.ledger_url, application="relay")
    relay = Relay(outbox, publisher)
    relay.repeat()  # nobody knows what became of the broker while no relay ran
    async with publisher, outbox:
        ports = DispatcherPorts(ledger=ledger, publisher=publisher, wakeups=RedisWakeUps(redis))

        async def run(stop: asyncio.Event) -> None:
            await dispatch(ports, came_back, stop)

        async def run_upkeep(stop: asyncio.Event) -> None:
            await keep_up(ports, stop)

        try:
            yield [
                run,
                run_upkeep,
                relay.run,
                relay.keep_tidy,
                _health(settings, ledger.database.is_ready),
            ]
        finally:
            await ledger.database.close()
            await redis.aclose()


def _made_up_name() -> str:
    """Tells one run of one process from every other, in leases and in the timeline."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"


def _redis(url: Secret) -> Redis:
    """Nothing here may wait for Redis: no retries, short time-outs (by default 5 s, tenfold)."""
    return Redis.from_url(
        url.reveal(),
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _accounts(settings: Settings) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=settings.accounts_url,
        trust_env=False,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=_ACCOUNTS_CONNECTIONS),
    )


def _connections(settings: Settings, client: httpx2.AsyncClient) -> AccountsConnections:
    keys = [SealingKey.from_text(text) for text in settings.sealing_keys.reveal().split(",")]
    tokens = ServiceTokens(
        SERVICE, settings.service_key_id, settings.service_key.reveal(), SystemClock()
    )
    return AccountsConnections(client, tokens, SealingKeyring(keys), settings.simulator_url)


def _host(url: str) -> str:
    """`host:port`: the simulator stands on a private address."""
    parsed = httpx2.URL(url)
    return parsed.host if parsed.port is None else f"{parsed.host}:{parsed.port}"


def _health(settings: Settings | DispatcherSettings, is_ready: health.Readiness) -> Loop:
    return serve(create(health.routes(is_ready)), settings.host, settings.internal_port)
