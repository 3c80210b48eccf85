"""The outbox: a fact is saved in the transaction that made it true, and published afterwards.

The same table stands in every database that tells something. A relay takes rows in order of their
id, publishes them with confirms, and marks what was confirmed. Between publish and mark it may die:
then the event goes out twice, never zero times. Order is not promised to readers.

Where a kind of event can be joined, what waits together is told in one message: every message wakes
the broker and a reader, whatever is in it.

What was sent is kept for an hour, and sent again when the broker has lost its memory: what waited
there for a reader is gone. A mark that the relay leaves on the broker tells; it is looked for at
the start and after every loss of contact, and until then nothing is dropped. A reader's natural key
makes the second time harmless.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from prometheus_client import Counter, Gauge
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    any_,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from libs.common import logs
from libs.common.broker.protocol import MarkingPublisher, Message
from libs.common.broker.topology import EVENTS, MARKS
from libs.common.contracts.event import Event, encode, routing_key
from libs.common.crash_points import crash_point
from libs.common.database import DRIVER, Database, new_metadata
from libs.common.pauses import growing
from libs.common.runtime import sleep

log = logs.get(__name__)

RELAY_FAILED: Final = "relay_failed"
EVENTS_UNSENT: Final = "events_unsent"
EVENTS_REPEATED: Final = "events_repeated"

RELAYED: Final = Counter("reqrun_outbox_relayed_total", "Events published", ["database"])
FAILED: Final = Counter(
    "reqrun_outbox_passes_failed_total", "Passes ended by an error", ["database"]
)
OLDEST: Final = Gauge(
    "reqrun_outbox_oldest_age_seconds", "Age of the oldest event not yet published", ["database"]
)

# Small, because the rows stay locked while the broker is asked.
BATCH: Final = 64
JOINED_BYTES: Final = 256 * 1024
POLL: Final = timedelta(milliseconds=500)
LONGEST_PAUSE: Final = timedelta(seconds=10)
KEPT: Final = timedelta(hours=1)
TIDY_EVERY: Final = timedelta(minutes=1)
TIDY_BATCH: Final = 1_000
REPEAT_BATCH: Final = 5_000

OUTBOX: Final = Table(
    "outbox",
    new_metadata(),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("routing_key", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("sent_at", DateTime(timezone=True)),
    Index("outbox_unsent", "id", postgresql_where=text("sent_at IS NULL")),
    Index("outbox_sent", "sent_at", postgresql_where=text("sent_at IS NOT NULL")),
)
"""Where a service's own metadata should know it too: `OUTBOX.to_metadata(metadata)`."""


def create_sql() -> list[str]:
    """The statements that make it. Who adds needs INSERT; a relay SELECT, UPDATE and DELETE."""
    dialect = make_url(f"{DRIVER}://").get_dialect()()
    indexes = sorted(OUTBOX.indexes, key=lambda index: str(index.name))
    making: list[ExecutableDDLElement] = [CreateTable(OUTBOX), *map(CreateIndex, indexes)]
    return [str(statement.compile(dialect=dialect)) for statement in making]


async def add(tx: AsyncSession, event: Event) -> None:
    """Say it, if this transaction commits."""
    await tx.execute(insert(OUTBOX).values(routing_key=routing_key(event), body=encode(event)))


Join = Callable[[Sequence[bytes]], bytes]
"""Makes one event of several of one kind."""


class _Row(msgspec.Struct, frozen=True):
    id: int
    routing_key: str
    body: bytes
    age: timedelta


class Relay:
    """Publishes one database's outbox. Any number may run: a row goes to one of them at a time."""

    def __init__(
        self,
        database: Database,
        publisher: MarkingPublisher,
        *,
        joins: Mapping[str, Join] | None = None,
        unless: str = "false",
        poll: timedelta = POLL,
    ) -> None:
        """`joins`: by routing key. `poll`: how often to look when there was nothing more.

        `unless`: SQL over a row of `outbox`; while it is true the row is not dropped.
        """
        self.database, self._publisher, self._poll = database, publisher, poll
        self._unless = unless
        self._joins = joins or {}
        self._relayed = RELAYED.labels(database.name)
        self._failed = FAILED.labels(database.name)
        self._oldest = OLDEST.labels(database.name)
        self._mark = MARKS + database.name
        self._contact, self._looked = 1, 0  # which contact with the broker, and since which we know
        self._since: datetime | None = None
        self._passed = 0  # where to go on, behind what could not be published; then from the start

    def look_for_mark(self) -> None:
        """Contact with the broker was lost: find out soon whether it still remembers us."""
        self._contact += 1

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Goes on through every outage, with growing pauses."""
        pauses = growing(self._poll, LONGEST_PAUSE)
        while not stop.is_set():
            try:
                if self._must_look():
                    await self._repeat_if_forgotten(stop)
                is_full, unsent = await self._relay_batch()
            except Exception as error:
                self._failed.inc()
                log.warning(RELAY_FAILED, database=self.database.name, exc_info=error)
                unsent, is_full = 1, False
            if unsent:
                await sleep(stop, next(pauses))
                continue
            pauses = growing(self._poll, LONGEST_PAUSE)
            if not is_full:
                await sleep(stop, self._poll.total_seconds())

    async def keep_tidy(self, stop: asyncio.Event) -> None:
        """A loop: every minute, drop what was sent more than an hour ago.

        Not while it may have to be sent again: that takes more than a minute where there is much.
        """
        while not await sleep(stop, TIDY_EVERY.total_seconds()):
            try:
                while not self._must_look() and await self._drop_old() == TIDY_BATCH:
                    pass
            except Exception as error:  # it is tried again in a minute
                log.warning(RELAY_FAILED, database=self.database.name, exc_info=error)

    async def _drop_old(self) -> int:
        old = (
            select(OUTBOX.c.id)
            .where(OUTBOX.c.sent_at < func.clock_timestamp() - KEPT)
            .where(text(f"NOT ({self._unless})"))
            .limit(TIDY_BATCH)
            .with_for_update(skip_locked=True)
            .cte("old")  # asked once: inside the IN it may find others for each row
        )
        async with self.database.transaction() as tx:
            gone = delete(OUTBOX).where(OUTBOX.c.id.in_(select(old.c.id)))
            return len((await tx.execute(gone.returning(OUTBOX.c.id))).all())

    def _must_look(self) -> bool:
        return self._looked != self._contact

    async def _repeat_if_forgotten(self, stop: asyncio.Event) -> None:
        """The mark is left last: who dies before that, or loses contact again, does it all again.

        The hour stays the one before it was first found forgotten.
        """
        contact = self._contact
        if not await self._publisher.remembers(self._mark):
            await self._unsend(stop)
            if stop.is_set() or contact != self._contact:
                return
            await self._publisher.leave_mark(self._mark)
        self._looked, self._since = contact, None

    async def _unsend(self, stop: asyncio.Event) -> None:
        """Batch by batch: all that a busy hour sent would not fit into one statement's time."""
        async with self.database.transaction() as tx:
            now = (await tx.scalars(select(func.clock_timestamp()))).one()
        self._since = self._since or now - KEPT
        recent = OUTBOX.c.sent_at.between(self._since, now)
        count, ids = 0, [0]
        while ids and not stop.is_set():
            ids = await self._unsend_batch(recent, max(ids))
            count += len(ids)
        log.info(EVENTS_REPEATED, database=self.database.name, count=count)

    async def _unsend_batch(self, recent: ColumnElement[bool], after: int) -> list[int]:
        some = (
            select(OUTBOX.c.id)
            .where(OUTBOX.c.id > after, recent)
            .order_by(OUTBOX.c.id)
            .limit(REPEAT_BATCH)
            .with_for_update(skip_locked=True)
            .cte("some")
        )
        unsent = update(OUTBOX).where(OUTBOX.c.id.in_(select(some.c.id))).values(sent_at=None)
        async with self.database.transaction() as tx:
            return list(await tx.scalars(unsent.returning(OUTBOX.c.id)))

    async def _relay_batch(self) -> tuple[bool, int]:
        """Whether there may be more, and how many could not be published.

        The next batch is the one behind it: what no reader's queue takes holds up nobody else's.
        """
        async with self.database.transaction() as tx:
            rows = await _lock_oldest(tx, self._passed)
            if not self._passed:
                self._oldest.set(rows[0].age.total_seconds() if rows else 0)
            sent = await self._publish(rows)
            if sent:
                crash_point("relay.after_publish")
                these = OUTBOX.c.id == any_(literal(sent, ARRAY(BigInteger)))
                await tx.execute(update(OUTBOX).where(these).values(sent_at=func.clock_timestamp()))
        self._relayed.inc(len(sent))
        is_full, unsent = len(rows) == BATCH, len(rows) - len(sent)
        self._passed = rows[-1].id if is_full and (unsent or self._passed) else 0
        return is_full, unsent

    async def _publish(self, rows: Sequence[_Row]) -> list[int]:
        """The ids of those that the broker has."""
        if rows:
            crash_point("relay.before_publish")
        groups = self._group(rows)
        reasons = await self._publisher.publish_many([self._message(group) for group in groups])
        outcomes = zip(groups, reasons, strict=True)
        sent = [row.id for group, reason in outcomes if reason is None for row in group]
        if len(sent) < len(rows):
            unsent = len(rows) - len(sent)
            log.warning(EVENTS_UNSENT, database=self.database.name, count=unsent)
        return sent

    def _group(self, rows: Sequence[_Row]) -> list[list[_Row]]:
        """What goes into one message each."""
        groups: list[list[_Row]] = []
        filling: dict[str, tuple[list[_Row], int]] = {}
        for row in rows:
            group, size = filling.get(row.routing_key, ([], JOINED_BYTES))
            size += len(row.body)
            if size > JOINED_BYTES or row.routing_key not in self._joins:
                group, size = [], len(row.body)
                groups.append(group)
            group.append(row)
            filling[row.routing_key] = group, size
        return groups

    def _message(self, group: Sequence[_Row]) -> Message:
        first = group[0]
        body = first.body
        if len(group) > 1:
            body = self._joins[first.routing_key]([row.body for row in group])
        return Message(EVENTS, first.routing_key, body, f"{self.database.name}/{first.id}")


async def _lock_oldest(tx: AsyncSession, after: int) -> list[_Row]:
    """At most BATCH rows behind `after` that no other relay has in hand, oldest first."""
    waited = func.clock_timestamp() - OUTBOX.c.created_at
    columns = (OUTBOX.c.id, OUTBOX.c.routing_key, OUTBOX.c.body, waited)
    statement = (
        select(*columns)
        .where(OUTBOX.c.sent_at.is_(None), OUTBOX.c.id > after)
        .order_by(OUTBOX.c.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    found = await tx.execute(statement)
    return [_Row(number, key, body, age) for number, key, body, age in found]
