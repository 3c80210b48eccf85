"""Composition root: opens what a role needs and runs it.

The only file that names concrete classes; it decides nothing.
"""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
from litestar import Litestar

from libs.common import crypto, migrations, runtime, tracing
from libs.common.addresses import parse_networks
from libs.common.broker.dispatch import EventReader
from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.clock import Clock, SystemClock
from libs.common.contracts.accounts import AUDIENCE
from libs.common.database import Database
from libs.common.outbox import Relay
from libs.common.settings import Secret
from libs.common.tokens import ServiceTokens, TokenVerifier
from libs.common.web import app as web_app
from libs.common.web import health
from services.accounts import consumers
from services.accounts.adapters.billing import HttpBilling
from services.accounts.adapters.executors import HttpExecutors
from services.accounts.adapters.gateway import HttpRequests
from services.accounts.adapters.smtp import SmtpPost
from services.accounts.api import internal
from services.accounts.api.commands import Inputs
from services.accounts.pages import letters, rendering, site
from services.accounts.pages.visits import Desk
from services.accounts.ports import Billing, Executors, Ports, Requests
from services.accounts.settings import Settings
from services.accounts.use_cases import retention
from services.accounts.use_cases.mails import Delivery

NAME: Final = "accounts"
VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"

_HTTP_SECONDS: Final = 15.0  # each adapter has a shorter time of its own where people wait
_CONNECTIONS: Final = 16
_PREFETCH: Final = 8


def open_database(settings: Settings, role: str) -> Database:
    """Our database, not connected yet."""
    return Database(settings.database_url, application=f"{NAME} {role}")


@asynccontextmanager
async def open_ports(
    settings: Settings, db: Database, clock: Clock | None = None
) -> AsyncIterator[Ports]:
    """What the use cases need, for as long as the block lasts."""
    clock = clock or SystemClock()
    tokens = ServiceTokens(NAME, settings.service_key_id, settings.service_key.reveal(), clock)
    async with (
        _client(settings.gateway_url) as gateways,
        _client(settings.executor_url) as executors,
        _client(settings.billing_url) as billing,
    ):
        others = Others(
            HttpRequests(gateways, tokens),
            HttpExecutors(executors, tokens),
            HttpBilling(billing, tokens),
        )
        yield make_ports(settings, db, clock, others)


class Others(NamedTuple):
    """The services that answer us."""

    requests: Requests
    executors: Executors
    billing: Billing


def make_ports(settings: Settings, db: Database, clock: Clock, others: Others) -> Ports:
    """All of them, around what others answer."""
    pepper = settings.pepper()
    return Ports(
        db=db,
        clock=clock,
        digest=lambda key: crypto.digest(key, pepper),
        pepper_id=settings.api_key_pepper_id,
        executor_key=settings.executor_key(),
        data_plane_key=settings.data_plane_key(),
        open_hosts=frozenset(settings.open_hosts),
        is_production=settings.env == "production",
        write=letters.write,
        base_url=settings.dashboard_url,
        terms_version=settings.terms_version,
        new_plan=settings.new_plan,
        support_address=settings.contacts.support,
        requests=others.requests,
        executors=others.executors,
        billing=others.billing,
    )


def make_web(settings: Settings, ports: Ports) -> Litestar:
    """What answers on the internal port."""
    verifier = TokenVerifier(settings.service_public_keys, AUDIENCE, ports.clock)
    return web_app.create([*health.routes(ports.db.is_ready), internal.routes(ports, verifier)])


def make_site(settings: Settings, ports: Ports) -> Litestar:
    """The dashboard, on the public port."""
    desk = Desk(
        ports=ports,
        rendering=rendering.environment(),
        contacts=settings.contacts,
        api_url=settings.api_url,
        form_key=settings.form_key(),
        is_secure=settings.dashboard_url.startswith("https://"),
        trusted=parse_networks(settings.trusted_proxies),
    )
    return site.create(desk)


async def run_web(settings: Settings) -> None:
    """Answer until a signal."""
    async with open_database(settings, "web") as db, open_ports(settings, db) as ports:
        await db.check_durability()
        await runtime.run(
            web_app.serve(make_web(settings, ports), settings.host, settings.internal_port),
            web_app.serve(make_site(settings, ports), settings.host, settings.port),
        )


async def run_worker(settings: Settings) -> None:
    """Publish what the outbox holds, hear billing, send mails, keep tidy, until a signal."""

    def note_return() -> None:
        relay.look_for_mark()

    publisher = RabbitMQPublisher(settings.broker_url, name=NAME, on_reconnect=note_return)
    async with (
        open_database(settings, "worker") as db,
        open_ports(settings, db) as ports,
        publisher,
        RabbitMQConsumer(
            settings.broker_url, name=NAME, queues=consumers.QUEUES, prefetch=_PREFETCH
        ) as consumer,
    ):
        await db.check_durability()
        relay = Relay(db, publisher)
        post = SmtpPost(settings.smtp_url, settings.mail_from, ca_file=settings.smtp_ca_file)
        delivery = Delivery(ports, post)

        async def is_ready() -> bool:
            return consumer.is_ready() and publisher.is_ready() and await db.is_ready()

        web = web_app.create(health.routes(is_ready))
        await runtime.run(
            relay.run,
            relay.keep_tidy,
            EventReader(consumer, publisher, consumers.handlers(ports), limit=_PREFETCH).run,
            delivery.run,
            delivery.measure,
            partial(retention.keep_up, ports),
            web_app.serve(web, settings.host, settings.internal_port),
        )


def migrate(url: Secret) -> None:
    """Bring the database to the newest schema."""
    asyncio.run(migrations.upgrade(url.reveal(), VERSIONS))


def run_command(settings: Settings, given: Namespace, inputs: Inputs) -> Any:
    """The answer of one operator's command. Raises AppError."""

    async def call() -> Any:
        async with open_database(settings, "operator") as db, open_ports(settings, db) as ports:
            return await given.call(ports, given, inputs)

    return asyncio.run(call())


def _client(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=url,
        timeout=_HTTP_SECONDS,
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [tracing.carry]},
        limits=httpx2.Limits(max_connections=_CONNECTIONS),
    )
