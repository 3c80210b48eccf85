"""What a test does with billing's inbox: deliver webhooks, process them, read what is told."""

from typing import Any

from sqlalchemy import select

from libs.common import outbox
from libs.common.contracts.billing import (
    PaymentFailed,
    PlanChanged,
    SubscriptionEnded,
    UsageThresholdReached,
)
from libs.common.contracts.event import Event, decoder
from services.billing.models import Base, Webhook
from services.billing.ports import Ports
from services.billing.use_cases import processing
from services.billing.use_cases.webhooks import Door
from tests.support.paddle_events import SECRET, signature

_DECODE = decoder([PaymentFailed, PlanChanged, SubscriptionEnded, UsageThresholdReached])


async def deliver(ports: Ports, *bodies: bytes) -> None:
    """Signed now, taken in, not processed."""
    door = Door(ports, [SECRET])
    for body in bodies:
        await door.take(signature(body, ports.clock.now()), body)


async def process_all(ports: Ports) -> None:
    """Until nothing waits that is due."""
    while await processing.process(ports):
        pass


async def tell(ports: Ports, *bodies: bytes) -> None:
    """Deliver and process."""
    await deliver(ports, *bodies)
    await process_all(ports)


async def told(ports: Ports) -> list[Event]:
    """All that billing said since the database was made, in order."""
    async with ports.db.transaction() as tx:
        rows = await tx.scalars(select(outbox.OUTBOX.c.body).order_by(outbox.OUTBOX.c.id))
        return [_DECODE(body) for body in rows]


async def states(ports: Ports) -> dict[str, str]:
    """What became of each webhook."""
    async with ports.db.transaction() as tx:
        rows = await tx.execute(select(Webhook.event_id, Webhook.state))
        return dict(rows.all())


async def rows(ports: Ports, table: str) -> list[dict[str, Any]]:
    """A table's rows, in order of its key."""
    columns = Base.metadata.tables[table]
    async with ports.db.transaction() as tx:
        found = await tx.execute(select(columns).order_by(*columns.primary_key))
        return [dict(row) for row in found.mappings()]
