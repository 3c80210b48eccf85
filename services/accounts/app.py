"""Composition root: opens what a role needs and runs it.

The only file that names concrete classes; it decides nothing.
"""

import asyncio
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from litestar import Litestar

from libs.common import crypto, migrations, runtime
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.clock import Clock, SystemClock
from libs.common.contracts.accounts import AUDIENCE
from libs.common.database import Database
from libs.common.outbox import Relay
from libs.common.settings import Secret
from libs.common.tokens import TokenVerifier
from libs.common.web import app as web_app
from libs.common.web import health
from services.accounts.api import internal
from services.accounts.api.commands import Inputs
from services.accounts.ports import Ports
from services.accounts.settings import Settings

NAME: Final = "accounts"
VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"


def open_database(settings: Settings, role: str) -> Database:
    """Our database, not connected yet."""
    return Database(settings.database_url, application=f"{NAME} {role}")


def make_ports(settings: Settings, db: Database, clock: Clock) -> Ports:
    """What the use cases need."""
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
    )


def make_web(settings: Settings, ports: Ports) -> Litestar:
    """What answers on the internal port."""
    verifier = TokenVerifier(settings.service_public_keys, AUDIENCE, ports.clock)
    return web_app.create([*health.routes(ports.db.is_ready), internal.routes(ports, verifier)])


async def run_web(settings: Settings) -> None:
    """Answer until a signal."""
    async with open_database(settings, "web") as db:
        await db.check_durability()
        web = make_web(settings, make_ports(settings, db, SystemClock()))
        await runtime.run(web_app.serve(web, settings.host, settings.internal_port))


async def run_worker(settings: Settings) -> None:
    """Publish what the outbox holds until a signal."""

    def note_return() -> None:
        relay.look_for_mark()

    publisher = RabbitMQPublisher(settings.broker_url, name=NAME, on_reconnect=note_return)
    async with open_database(settings, "worker") as db, publisher:
        await db.check_durability()
        relay = Relay(db, publisher)

        async def is_ready() -> bool:
            return publisher.is_ready() and await db.is_ready()

        web = web_app.create(health.routes(is_ready))
        await runtime.run(
            relay.run,
            relay.keep_tidy,
            web_app.serve(web, settings.host, settings.internal_port),
        )


def migrate(url: Secret) -> None:
    """Bring the database to the newest schema."""
    asyncio.run(migrations.upgrade(url.reveal(), VERSIONS))


def run_command(settings: Settings, given: Namespace, inputs: Inputs) -> Any:
    """The answer of one operator's command. Raises AppError."""

    async def call() -> Any:
        async with open_database(settings, "operator") as db:
            return await given.call(make_ports(settings, db, SystemClock()), given, inputs)

    return asyncio.run(call())
