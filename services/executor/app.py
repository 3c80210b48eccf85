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

from libs.common import tracing
from libs.common.broker import depths
from libs.common.broker.dispatch import EventReader
from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.broker.topology import WORK_FIRST, WORK_REST
from libs.common.clock import SystemClock
from libs.common.contracts.event import routing_key
from libs.common.contracts.executor import AUDIENCE, RequestsFinished, join_finished
from libs.common.crypto import SealingKey, SealingKeyring
from libs.common.database import Database
from libs.common.outbox import Relay
from libs.common.runtime import Loop
from libs.common.settings import Secret
from libs.common.tokens import ServiceTokens, TokenVerifier
from libs.common.web import health
from libs.common.web.app import create, serve
from libs.ledger.dispatcher_ledger import DispatcherLedger
from libs.ledger.durability import once_durable
from libs.ledger.ledger import ExecutorLedger
from libs.ledger.orphans import CrashBackoff
from libs.ledger.roll_up import UNCOUNTED
from services.executor import consumers
from services.executor.adapters.accounts import AccountsProjects, Seals
from services.executor.adapters.provider import Provider, ProviderOptions
from services.executor.adapters.seals import OpenedSeals
from services.executor.adapters.standings import AccountsStandings
from services.executor.adapters.wakeups import RedisWakeUps
from services.executor.api import internal
from services.executor.ports import DispatcherPorts, WorkerPorts
from services.executor.settings import DispatcherSettings, Settings
from services.executor.use_cases.connection_tests import ConnectionTests
from services.executor.use_cases.dispatch import dispatch, keep_forgetting, keep_up
from services.executor.use_cases.measuring import keep_measuring
from services.executor.use_cases.models import ModelLists
from services.executor.use_cases.rollups import keep_rolling_up
from services.executor.use_cases.work import work

SERVICE: Final = "executor"

_PREFETCH: Final = 64
_EVENTS: Final = 4  # an erasure may take minutes, and others need not wait for it
_REDIS_SECONDS: Final = 0.5
_ACCOUNTS_CONNECTIONS: Final = 16


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[list[Loop]]:
    """The worker's loops, with everything they need open."""
    async with AsyncExitStack() as stack:
        seals = Seals(_opened(settings.sealing_keys), _opened(settings.data_plane_keys))
        ports = await _worker_ports(settings, seals, stack)

        async def is_ready() -> bool:
            hears = ports.first_hints.is_ready() and ports.rest_hints.is_ready()
            return hears and await ports.ledger.database.is_ready()

        attempts = once_durable(ports.ledger.database, partial(work, ports))
        tests = ConnectionTests(seals, ports.provider)
        yield [attempts, _internal(settings, ports, tests, is_ready)]


async def _worker_ports(settings: Settings, seals: Seals, stack: AsyncExitStack) -> WorkerPorts:
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
        projects=AccountsProjects(client, _tokens(settings), seals, settings.simulator_url),
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
    consumer = RabbitMQConsumer(
        settings.broker_url, name="dispatcher", queues=consumers.QUEUES, prefetch=_EVENTS
    )
    told = Database(settings.ledger_url, application="relay")
    joins = {routing_key(RequestsFinished): join_finished}
    relay = Relay(told, publisher, joins=joins, unless=UNCOUNTED)
    async with AsyncExitStack() as stack:
        ledger = DispatcherLedger(settings.ledger_url.reveal(), backoff=_backoff(settings))
        stack.push_async_callback(ledger.close)
        await stack.enter_async_context(relay.database)
        redis = await stack.enter_async_context(_redis(settings.redis_url))
        await stack.enter_async_context(publisher)
        await stack.enter_async_context(consumer)
        client = await stack.enter_async_context(_accounts(settings))
        ports = DispatcherPorts(
            ledger=ledger,
            publisher=publisher,
            standings=AccountsStandings(client, _tokens(settings)),
            wakeups=RedisWakeUps(redis),
        )
        yield [
            once_durable(ledger.database, partial(dispatch, ports, came_back)),
            *_upkeep(ports, publisher),
            EventReader(consumer, publisher, consumers.handlers(ports), limit=_EVENTS).run,
            relay.run,
            relay.keep_tidy,
            _health(settings, ledger.database.is_ready),
        ]


def _upkeep(ports: DispatcherPorts, publisher: RabbitMQPublisher) -> list[Loop]:
    """What goes on beside the passes."""
    return [
        partial(keep_up, ports),
        partial(keep_measuring, ports),
        partial(depths.keep_counting, publisher),
        partial(keep_forgetting, ports),
        partial(keep_rolling_up, ports),
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


def _accounts(settings: Settings | DispatcherSettings) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=settings.accounts_url,
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [tracing.carry]},
        limits=httpx2.Limits(max_connections=_ACCOUNTS_CONNECTIONS),
    )


def _tokens(settings: Settings | DispatcherSettings) -> ServiceTokens:
    return ServiceTokens(
        SERVICE, settings.service_key_id, settings.service_key.reveal(), SystemClock()
    )


def _opened(keys: Secret) -> OpenedSeals:
    """Raises ValueError, which quotes nothing, for what is no key."""
    texts = keys.reveal().split(",")
    return OpenedSeals(SealingKeyring([SealingKey.from_text(text.strip()) for text in texts]))


def _host(url: str) -> str:
    """`host:port`: the simulator stands on a private address."""
    parsed = httpx2.URL(url)
    return parsed.host if parsed.port is None else f"{parsed.host}:{parsed.port}"


def _internal(
    settings: Settings, ports: WorkerPorts, tests: ConnectionTests, is_ready: health.Readiness
) -> Loop:
    """Health, and the questions of other services."""
    verifier = TokenVerifier(settings.service_public_keys, AUDIENCE, ports.clock)
    questions = internal.routes(ModelLists(ports.projects, ports.provider), tests, verifier)
    app = create([*health.routes(is_ready), questions])
    return serve(app, settings.host, settings.internal_port)


def _health(settings: DispatcherSettings, is_ready: health.Readiness) -> Loop:
    return serve(create(health.routes(is_ready)), settings.host, settings.internal_port)
