"""Composition root of the gateway: the only file that names concrete classes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import httpx2
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from libs.common import tracing
from libs.common.addresses import parse_networks
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.clock import SystemClock
from libs.common.contracts.gateway import AUDIENCE
from libs.common.runtime import Loop
from libs.common.settings import Secret
from libs.common.tokens import ServiceTokens, TokenVerifier
from libs.common.web import health
from libs.common.web.app import create, serve
from libs.common.web.connections import Bounds
from libs.ledger.durability import await_durability
from libs.ledger.ledger import GatewayLedger
from services.gateway.adapters.accounts import HttpAccounts
from services.gateway.adapters.contexts import RedisContexts
from services.gateway.adapters.executors import HttpModels
from services.gateway.adapters.hints import BrokerHints
from services.gateway.adapters.ledger import PatientLedger
from services.gateway.adapters.limits import RedisRates
from services.gateway.adapters.wakeups import RedisTeller, RedisWakeups
from services.gateway.api import internal, usage
from services.gateway.api.calls import BodyBounds
from services.gateway.api.desk import Desk, Waits
from services.gateway.api.edge import Edge
from services.gateway.api.internal import Overseers
from services.gateway.api.routes import routes
from services.gateway.ports import Ports
from services.gateway.settings import Settings, secrets_of, upgrade_url
from services.gateway.use_cases.addresses import Addresses
from services.gateway.use_cases.callers import Callers, Secrets
from services.gateway.use_cases.entrance import Entrance
from services.gateway.use_cases.waiting import WaitingRoom

SERVICE: Final = "gateway"

_REDIS_SECONDS: Final = 0.1  # callers wait for these
_CHANNEL_SECONDS: Final = 1.0  # nobody waits for this one
_READY_SECONDS: Final = 1.0
_ACCOUNTS_CONNECTIONS: Final = 4
_EXECUTOR_CONNECTIONS: Final = 64  # each may wait for a provider that is slow to tell its models
_HTTP_SECONDS: Final = 1.0


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[list[Loop]]:
    """The gateway's loops, with everything they need open."""
    secrets = secrets_of(settings)
    ledger = GatewayLedger(settings.ledger_url.reveal(), connections=settings.ledger_connections)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(ledger.close)
        publisher = await stack.enter_async_context(
            RabbitMQPublisher(settings.broker_url, name=SERVICE)
        )
        of_accounts = _client(settings.accounts_url, _ACCOUNTS_CONNECTIONS)
        client = await stack.enter_async_context(of_accounts)
        of_executors = _client(settings.executor_url, _EXECUTOR_CONNECTIONS)
        executors = await stack.enter_async_context(of_executors)
        redis = await stack.enter_async_context(_redis(settings.redis_url, _REDIS_SECONDS))
        hints = BrokerHints(publisher)
        stack.push_async_callback(hints.drain)
        rates = RedisRates(redis)
        stack.push_async_callback(rates.close)
        ports = Ports(
            ledger=PatientLedger(ledger),
            hints=hints,
            accounts=HttpAccounts(client, _tokens(settings)),
            last_contexts=RedisContexts(redis),
            rates=rates,
            models=HttpModels(executors, _tokens(settings)),
            wakeups=RedisTeller(redis),
            clock=SystemClock(),
            upgrade_url=upgrade_url(settings),
        )
        yield _loops(settings, ledger, ports, secrets)


def _loops(settings: Settings, ledger: GatewayLedger, ports: Ports, secrets: Secrets) -> list[Loop]:
    room = WaitingRoom(ports.ledger.find_final, limit=settings.max_waiting)
    gate = Gate(ledger)
    bounds = BodyBounds(settings.max_body_bytes, settings.body_timeout)
    public = Edge(create(routes(_desk(settings, ports, secrets, room), bounds)))
    verifier = TokenVerifier(settings.service_public_keys, AUDIENCE, ports.clock)
    questions = [
        internal.routes(Overseers(ports, room, secrets.keyring), verifier),
        usage.routes(ports, verifier),
    ]
    inside = create([*health.routes(gate.is_ready), *questions])
    return [
        gate.watch,
        room.keep_time,
        room.keep_looking,
        RedisWakeups(partial(_redis, settings.redis_url, _CHANNEL_SECONDS), room).follow,
        gate.after(serve(public, settings.host, settings.port, bounds=_bounds(settings))),
        serve(inside, settings.host, settings.internal_port),
    ]


def _bounds(settings: Settings) -> Bounds:
    return Bounds(head_time=settings.head_timeout, connections=settings.max_connections)


def _desk(settings: Settings, ports: Ports, secrets: Secrets, room: WaitingRoom) -> Desk:
    return Desk(
        ports=ports,
        entrance=Entrance(ports, Callers(ports, secrets), Addresses(settings.failures_a_minute)),
        room=room,
        waits=Waits(settings.wait, settings.drop_in_wait),
        trusted=parse_networks(settings.trusted_proxies),
    )


class Gate:
    """Closed until the ledger has answered that it keeps what it acknowledges, and from a stop on.

    The process lives on while it is closed: an outage of the database restarts nothing.
    """

    def __init__(self, ledger: GatewayLedger) -> None:
        self._ledger = ledger
        self._is_checked, self._is_stopping = asyncio.Event(), False

    async def watch(self, stop: asyncio.Event) -> None:
        """A loop: open it as soon as may be. Raises DurabilityMissing: then it never may."""
        await await_durability(self._ledger.database, stop)
        self._is_checked.set()
        await stop.wait()
        self._is_stopping = True

    def after(self, loop: Loop) -> Loop:
        """`loop`, begun once the gate is open."""

        async def run(stop: asyncio.Event) -> None:
            await self._is_checked.wait()
            await loop(stop)

        return run

    async def is_ready(self) -> bool:
        """Readiness is the ledger's alone: without broker, cache or accounts we still serve."""
        if self._is_stopping or not self._is_checked.is_set():
            return False
        return await _within(_READY_SECONDS, self._ledger.database.is_ready)


async def _within(seconds: float, ask: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except TimeoutError:
        return False


def _redis(url: Secret, seconds: float) -> Redis:
    """Tries once, for `seconds` each step: by default the library tries ten times, for 5 s each."""
    return Redis.from_url(
        url.reveal(),
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )


def _client(url: str, connections: int) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=url,
        timeout=_HTTP_SECONDS,
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [tracing.carry]},
        limits=httpx2.Limits(max_connections=connections),
    )


def _tokens(settings: Settings) -> ServiceTokens:
    return ServiceTokens(
        SERVICE, settings.service_key_id, settings.service_key.reveal(), SystemClock()
    )
