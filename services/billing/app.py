"""Composition root: opens what a role needs and runs it.

The only file that names concrete classes; it decides nothing.
"""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2
from litestar import Litestar

from libs.common import migrations, runtime
from libs.common.broker.dispatch import EventReader
from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.clock import Clock, SystemClock
from libs.common.contracts.billing import AUDIENCE
from libs.common.database import Database
from libs.common.outbox import Relay
from libs.common.settings import Secret
from libs.common.tokens import ServiceTokens, TokenVerifier
from libs.common.web import app as web_app
from libs.common.web import health
from services.billing import consumers
from services.billing.adapters.gateway import HttpLedger
from services.billing.adapters.paddle.api import HttpPaddle
from services.billing.api import internal, webhooks
from services.billing.ports import Ports
from services.billing.settings import Settings
from services.billing.use_cases import (
    accounts,
    closing,
    nights,
    paddle_nights,
    plans,
    processing,
    retention,
    thresholds,
)
from services.billing.use_cases.webhooks import Door

NAME: Final = "billing"
VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"

# A batch of finished requests is one statement of a few milliseconds: more at once gains nothing.
PREFETCH: Final = 4

_HTTP_SECONDS: Final = 15.0  # the adapter has shorter times of its own
_CONNECTIONS: Final = 16


def open_database(settings: Settings, role: str) -> Database:
    """Our database, not connected yet."""
    return Database(settings.database_url, application=f"{NAME} {role}")


@asynccontextmanager
async def open_ports(
    settings: Settings, db: Database, clock: Clock | None = None
) -> AsyncIterator[Ports]:
    """What the use cases need, for as long as the block lasts."""
    key = settings.paddle_api_key
    async with _client(settings.paddle_api_url) as client, _client(settings.gateway_url) as gateway:
        yield Ports(
            db=db,
            clock=clock or SystemClock(),
            paddle=HttpPaddle(client, key, settings.paddle_checkout_url) if key.reveal() else None,
            prices=settings.paddle_prices,
            ledger=_ledger(settings, gateway),
        )


def make_web(settings: Settings, ports: Ports) -> Litestar:
    """What answers accounts on the internal port."""
    verifier = TokenVerifier(settings.service_public_keys, AUDIENCE, ports.clock)
    return web_app.create([*health.routes(ports.db.is_ready), internal.routes(ports, verifier)])


def make_door(settings: Settings, ports: Ports) -> Litestar:
    """What answers Paddle on the public port, and nobody else."""
    return web_app.create(webhooks.routes(Door(ports, settings.webhook_secrets())))


async def run_web(settings: Settings) -> None:
    """Answer until a signal."""
    async with open_database(settings, "web") as db, open_ports(settings, db) as ports:
        await db.check_durability()
        await runtime.run(
            web_app.serve(make_web(settings, ports), settings.host, settings.internal_port),
            web_app.serve(make_door(settings, ports), settings.host, settings.port),
        )


async def run_worker(settings: Settings) -> None:
    """Record what the others tell, work out what follows and tell it, until a signal."""

    def note_return() -> None:
        relay.look_for_mark()

    publisher = RabbitMQPublisher(settings.broker_url, name=NAME, on_reconnect=note_return)
    async with (
        open_database(settings, "worker") as db,
        open_ports(settings, db) as ports,
        publisher,
        RabbitMQConsumer(
            settings.broker_url, name=NAME, queues=consumers.QUEUES, prefetch=PREFETCH
        ) as consumer,
    ):
        await db.check_durability()
        relay = Relay(db, publisher)
        watch = thresholds.Watch(ports)

        async def is_ready() -> bool:
            return consumer.is_ready() and publisher.is_ready() and await db.is_ready()

        web = web_app.create(health.routes(is_ready))
        await runtime.run(
            EventReader(consumer, publisher, consumers.handlers(ports, watch)).run,
            watch.run,
            relay.run,
            relay.keep_tidy,
            *(partial(loop, ports) for loop in _LOOPS),
            web_app.serve(web, settings.host, settings.internal_port),
        )


_LOOPS: Final = (
    processing.run,
    processing.measure,
    plans.keep_time,
    accounts.end_all_bought,
    closing.keep_up,
    retention.keep_up,
    nights.keep_books_true,
    paddle_nights.agree_with_paddle,
)


def migrate(url: Secret) -> None:
    """Bring the database to the newest schema."""
    asyncio.run(migrations.upgrade(url.reveal(), VERSIONS))


def run_command(settings: Settings, given: Namespace) -> Any:
    """The answer of one operator's command. Raises AppError."""

    async def call() -> Any:
        async with open_database(settings, "operator") as db, open_ports(settings, db) as ports:
            return await given.call(ports, given)

    return asyncio.run(call())


def _ledger(settings: Settings, client: httpx2.AsyncClient) -> HttpLedger | None:
    key_id, key = settings.service_key_id, settings.service_key.reveal()
    if not (settings.gateway_url and key):
        return None
    return HttpLedger(client, ServiceTokens(NAME, key_id, key, SystemClock()))


def _client(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=url,
        timeout=_HTTP_SECONDS,
        trust_env=False,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=_CONNECTIONS),
    )
