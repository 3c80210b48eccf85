"""Composition root of the executor: the only file that names concrete classes."""

import asyncio
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
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
    async with AsyncExitStack() as stack:
        ports = await _worker_ports(settings, stack)

        async def is_ready() -> bool:
            hears = ports.first_hints.is_ready() and ports.rest_hints.is_ready()
            return hears and await ports.ledger.database.is_ready()

        yield [partial(work, ports), _health(settings, is_ready)]


async def _worker_ports(settings: Settings, stack: AsyncExitStack) -> WorkerPorts:
    name = settings.executor_name or _made_up_name()
    first, rest = (
        RabbitMQConsumer(settings.broker_url, name=name, queues=(queue,), prefetch=_PREFETCH)
        for queue in (WORK_FIRST, WORK_REST)
    )
    ledger = ExecutorLedger(settings.ledger_url.reveal(), owner=name)
    stack.push_async_callback(ledger.close)
    provider = _provider(settings)
    stack.push_async_callback(provider.close)
    redis = await stack.enter_async_context(_redis(settings.redis_url))
    client = await stack.enter_async_context(_accounts(settings))
    return WorkerPorts(
        clock=SystemClock(),
        ledger=ledger,
        first_hints=await stack.enter_async_context(first),
        rest_hints=await stack.enter_async_context(rest),
        provider=provider,
        connections=_connections(settings, client),
        wakeups=RedisWakeUps(redis),
        places=settings.places,
        backoff_scale=settings.backoff_scale,
        grace=settings.grace,
        chance=random.SystemRandom(),
    )


@asynccontextmanager
async def open_dispatcher(settings: DispatcherSettings) -> AsyncIterator[list[Loop]]:
    """The dispatcher's loops, the outbox relay among them."""
    came_back = asyncio.Event()

    def note_return() -> None:
        came_back.set()
        relay.look_for_mark()

    publisher = RabbitMQPublisher(settings.broker_url, name="dispatcher", on_reconnect=note_return)
    relay = Relay(Database(settings.ledger_url, application="relay"), publisher)
    async with AsyncExitStack() as stack:
        ledger = DispatcherLedger(settings.ledger_url.reveal(), backoff=_backoff(settings))
        stack.push_async_callback(ledger.close)
        await stack.enter_async_context(relay.database)
        redis = await stack.enter_async_context(_redis(settings.redis_url))
        await stack.enter_async_context(publisher)
        ports = DispatcherPorts(ledger=ledger, publisher=publisher, wakeups=RedisWakeUps(redis))
        yield [
            partial(dispatch, ports, came_back),
            partial(keep_up, ports),
            relay.run,
            relay.keep_tidy,
            _health(settings, ledger.database.is_ready),
        ]


def _backoff(settings: DispatcherSettings) -> CrashBackoff:
    return CrashBackoff(
        base=timedelta(seconds=0.5 * settings.backoff_scale),
        cap=timedelta(minutes=5 * settings.backoff_scale),
    )


def _provider(settings: Settings) -> Provider:
    return Provider(
        ProviderOptions(
            open_hosts=(*settings.open_hosts, _host(settings.simulator_url)),
            max_answer_bytes=settings.answer_bytes,
        )
    )


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
