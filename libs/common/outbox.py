"""The outbox: a fact is saved in the transaction that made it true, and published afterwards.

The same table stands in every database that tells something. A relay takes rows in order of their
id, publishes them with confirms, and deletes what was confirmed. Between publish and delete it may
die: then the event goes out twice, never zero times. Order is not promised to readers.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from prometheus_client import Counter, Gauge
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    LargeBinary,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.schema import CreateTable

from libs.common import logs
from libs.common.broker.protocol import Message, Publisher
from libs.common.broker.topology import EVENTS
from libs.common.contracts.event import Event, encode, routing_key
from libs.common.database import DRIVER, Database, new_metadata
from libs.common.pauses import growing
from libs.common.runtime import sleep

log = logs.get(__name__)

RELAY_FAILED: Final = "relay_failed"
EVENTS_UNSENT: Final = "events_unsent"

RELAYED: Final = Counter("reqrun_outbox_relayed_total", "Events published", ["database"])
FAILED: Final = Counter(
    "reqrun_outbox_passes_failed_total", "Passes ended by an error", ["database"]
)
OLDEST: Final = Gauge(
    "reqrun_outbox_oldest_age_seconds", "Age of the oldest event not yet published", ["database"]
)

# Small, because the rows stay locked while the broker is asked.
BATCH: Final = 64
POLL: Final = timedelta(milliseconds=200)
LONGEST_PAUSE: Final = timedelta(seconds=10)

OUTBOX: Final = Table(
    "outbox",
    new_metadata(),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("routing_key", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Where a service's own metadata should know it too: `OUTBOX.to_metadata(metadata)`."""


def create_table_sql() -> str:
    """For a migration: `op.execute(create_table_sql())`.

    Who adds needs INSERT; a relay needs SELECT, DELETE and, for the row locks, UPDATE.
    """
    dialect = make_url(f"{DRIVER}://").get_dialect()()
    return str(CreateTable(OUTBOX).compile(dialect=dialect))


async def add(tx: AsyncSession, event: Event) -> None:
    """Say it, if this transaction commits."""
    await tx.execute(insert(OUTBOX).values(routing_key=routing_key(event), body=encode(event)))


class _Row(msgspec.Struct, frozen=True):
    id: int
    routing_key: str
    body: bytes
    age: timedelta


class Relay:
    """Publishes one database's outbox. Any number may run: a row goes to one of them at a time."""

    def __init__(self, database: Database, publisher: Publisher, *, poll: timedelta = POLL) -> None:
        """`poll`: how often to look when there was nothing more."""
        self._database, self._publisher, self._poll = database, publisher, poll
        self._relayed = RELAYED.labels(database.name)
        self._failed = FAILED.labels(database.name)
        self._oldest = OLDEST.labels(database.name)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Goes on through every outage, with growing pauses."""
        pauses = growing(self._poll, LONGEST_PAUSE)
        while not stop.is_set():
            try:
                is_full, unsent = await self._relay_batch()
            except Exception as error:
                self._failed.inc()
                log.warning(RELAY_FAILED, database=self._database.name, exc_info=error)
                unsent, is_full = 1, False
            if unsent:
                await sleep(stop, next(pauses))
                continue
            pauses = growing(self._poll, LONGEST_PAUSE)
            if not is_full:
                await sleep(stop, self._poll.total_seconds())

    async def _relay_batch(self) -> tuple[bool, int]:
        """Whether there may be more, and how many could not be published."""
        async with self._database.transaction() as tx:
            rows = await _lock_oldest(tx)
            self._oldest.set(rows[0].age.total_seconds() if rows else 0)
            sent = await self._publish(rows)
            if sent:
                await tx.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(sent)))
        self._relayed.inc(len(sent))
        return len(rows) == BATCH, len(rows) - len(sent)

    async def _publish(self, rows: Sequence[_Row]) -> list[int]:
        """The ids of those that the broker has."""
        name = self._database.name
        messages = [Message(EVENTS, r.routing_key, r.body, f"{name}/{r.id}") for r in rows]
        reasons = await self._publisher.publish_many(messages)
        sent = [row.id for row, reason in zip(rows, reasons, strict=True) if reason is None]
        if len(sent) < len(rows):
            log.warning(EVENTS_UNSENT, database=name, count=len(rows) - len(sent))
        return sent


async def _lock_oldest(tx: AsyncSession) -> list[_Row]:
    """At most BATCH rows that no other relay has in hand, oldest first."""
    waited = func.clock_timestamp() - OUTBOX.c.created_at
    columns = (OUTBOX.c.id, OUTBOX.c.routing_key, OUTBOX.c.body, waited)
    statement = (
        select(*columns).order_by(OUTBOX.c.id).limit(BATCH).with_for_update(skip_locked=True)
    )
    found = await tx.execute(statement)
    return [_Row(number, key, body, age) for number, key, body, age in found]
