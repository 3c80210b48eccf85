"""Composition root: opens what a role needs and runs it.

The only file that names concrete classes; it decides nothing.
"""

import asyncio
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any, Final

from libs.common import migrations, runtime
from libs.common.broker.dispatch import EventReader
from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.clock import SystemClock
from libs.common.database import Database
from libs.common.settings import Secret
from libs.common.web import app as web_app
from libs.common.web import health
from services.billing import consumers
from services.billing.ports import Ports
from services.billing.settings import Settings
from services.billing.use_cases import closing

NAME: Final = "billing"
VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"

# A batch of finished requests is one statement of a few milliseconds: more at once gains nothing.
PREFETCH: Final = 4


def open_database(settings: Settings, role: str) -> Database:
    """Our database, not connected yet."""
    return Database(settings.database_url, application=f"{NAME} {role}")


async def run_worker(settings: Settings) -> None:
    """Record what the others tell until a signal."""
    async with (
        open_database(settings, "worker") as db,
        RabbitMQPublisher(settings.broker_url, name=NAME) as publisher,
        RabbitMQConsumer(
            settings.broker_url, name=NAME, queues=consumers.QUEUES, prefetch=PREFETCH
        ) as consumer,
    ):
        await db.check_durability()

        async def is_ready() -> bool:
            return consumer.is_ready() and publisher.is_ready() and await db.is_ready()

        ports = Ports(db=db, clock=SystemClock())
        web = web_app.create(health.routes(is_ready))
        await runtime.run(
            EventReader(consumer, publisher, consumers.handlers(ports)).run,
            partial(closing.keep_up, ports),
            web_app.serve(web, settings.host, settings.internal_port),
        )


def migrate(url: Secret) -> None:
    """Bring the database to the newest schema."""
    asyncio.run(migrations.upgrade(url.reveal(), VERSIONS))


def run_command(settings: Settings, given: Namespace) -> Any:
    """The answer of one operator's command. Raises AppError."""

    async def call() -> Any:
        async with open_database(settings, "operator") as db:
            return await given.call(Ports(db=db, clock=SystemClock()), given)

    return asyncio.run(call())
