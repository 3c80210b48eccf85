"""What a relay sends again after the broker forgot it, and when it drops what was sent."""

import asyncio
from typing import Self

import pytest
from sqlalchemy import select, text

from libs.common import outbox
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.broker.topology import BILLING_ACCOUNTS
from libs.common.database import Database
from tests.support import queues
from tests.support.relaying import (
    QUICK,
    Relaying,
    Slow,
    failures,
    has_message,
    has_rows,
    is_empty,
    say,
)
from tests.support.waiting import until


class Tidying:
    """A relay's tidying that runs until the block ends."""

    def __init__(self, relay: outbox.Relay) -> None:
        self._relay, self._stop = relay, asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._relay.keep_tidy(self._stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._task


async def age(database: Database, by: str, which: str) -> None:
    """As if it had been sent so much earlier."""
    async with database.transaction() as tx:
        statement = f"UPDATE outbox SET sent_at = sent_at - interval '{by}' WHERE {which}"  # noqa: S608  # ours
        await tx.execute(text(statement))


async def test_what_was_sent_lately_is_sent_again_by_who_finds_the_broker_wiped(
    broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    bodies = await say(database, 3)
    relay = outbox.Relay(database, publisher, poll=QUICK)
    async with Relaying(relay):
        await until(lambda: is_empty(database))
        await queues.forget(broker, f"reqrun.relay.{database.name}")
        await age(database, "2 hours", "id = 1")
        relay.look_for_mark()
        await until(lambda: has_message(broker))
        await until(lambda: is_empty(database))

    assert await queues.drain(broker, BILLING_ACCOUNTS) == bodies[1:]


async def test_nothing_is_sent_again_by_who_finds_its_mark(
    broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    bodies = await say(database, 3)
    for _ in range(2):  # the second is another process, after a restart
        relay = outbox.Relay(database, publisher, poll=QUICK)
        async with Relaying(relay):
            await until(lambda: is_empty(database))
            relay.look_for_mark()
            bodies += await say(database, 1)
            await until(lambda: is_empty(database))

    assert await queues.drain(broker, BILLING_ACCOUNTS) == bodies


async def test_what_was_sent_long_ago_is_dropped(
    database: Database, publisher: RabbitMQPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "TIDY_EVERY", QUICK)
    await say(database, 3)
    relay = outbox.Relay(database, publisher, poll=QUICK)
    async with Relaying(relay), Tidying(relay):
        await until(lambda: is_empty(database))
        await age(database, "61 min", "id < 3")
        await until(lambda: has_rows(database, 1))


async def test_what_somebody_else_still_needs_is_not_dropped(
    database: Database, publisher: RabbitMQPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "TIDY_EVERY", QUICK)
    await say(database, 3)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE outbox SET sent_at = now() - interval '61 min'"))
    relay = outbox.Relay(database, publisher, unless="outbox.id = 1", poll=QUICK)

    async with Relaying(relay), Tidying(relay):
        await until(lambda: has_rows(database, 1))

    async with database.transaction() as tx:
        assert await tx.scalar(select(outbox.OUTBOX.c.id)) == 1


BOUND = (
    """
CREATE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT count(*) FROM changed WHERE sent_at IS NULL) > 50 THEN
        RAISE 'canceling statement due to statement timeout' USING ERRCODE = '57014';
    END IF;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER bound AFTER UPDATE ON outbox REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_many()
""",
)


async def test_more_than_a_statement_has_the_time_for_is_sent_again_in_several(
    broker: str, database: Database, publisher: RabbitMQPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "REPEAT_BATCH", 50)
    await sent(database, 130)
    await define(database, *BOUND)

    async with Relaying(outbox.Relay(database, publisher, poll=QUICK)):
        await until(lambda: has_events(broker, 130))

    assert await publisher.remembers(f"reqrun.relay.{database.name}")


BLOCK = (
    """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE 'the disk is slow' USING ERRCODE = '57014';
END $$
""",
    """
CREATE TRIGGER block BEFORE UPDATE ON outbox FOR EACH ROW WHEN (OLD.id > 3 AND NEW.sent_at IS NULL)
    EXECUTE FUNCTION refuse()
""",
)


async def test_what_leaves_the_hour_while_repeating_fails_is_sent_again_all_the_same(
    broker: str, database: Database, publisher: RabbitMQPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "REPEAT_BATCH", 2)
    await sent(database, 5)
    await define(database, *BLOCK)
    before = failures()

    async with Relaying(outbox.Relay(database, publisher, poll=QUICK)):
        await until(lambda: failures() > before)
        monkeypatch.setattr(outbox, "KEPT", -outbox.KEPT)
        await define(database, "DROP TRIGGER block ON outbox")
        await until(lambda: has_events(broker, 5))


async def test_nothing_is_dropped_until_it_is_known_whether_it_must_be_sent_again(
    database: Database, publisher: RabbitMQPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "TIDY_EVERY", QUICK / 10)
    await sent(database, 3)
    await age(database, "61 min", "true")
    silent, before = Silent(publisher), failures()
    relay = outbox.Relay(database, silent, poll=QUICK)

    async with Relaying(relay), Tidying(relay):
        await until(lambda: failures() > before + 5)
        assert await has_rows(database, 3)
        silent.is_silent = False
        await until(lambda: has_rows(database, 0))


class Silent(Slow):
    """Does not say whether the broker remembers."""

    is_silent = True

    async def remembers(self, mark: str) -> bool:
        if self.is_silent:
            raise TimeoutError
        return await super().remembers(mark)


async def test_a_broker_that_is_lost_again_meanwhile_is_left_no_mark_for_what_it_lost(
    database: Database, publisher: RabbitMQPublisher
) -> None:
    await sent(database, 3)
    wiped = WipedTwice(publisher)
    relay = wiped.relay = outbox.Relay(database, wiped, poll=QUICK)

    async with Relaying(relay):
        await until(wiped.has_mark.is_set)

    assert wiped.looks == 2


class WipedTwice(Slow):
    """Contact is lost and found again just after it was asked for the mark."""

    relay: outbox.Relay
    looks = 0

    def __init__(self, publisher: RabbitMQPublisher) -> None:
        super().__init__(publisher)
        self.has_mark = asyncio.Event()
        self.leave_mark = self._leave_mark

    async def remembers(self, mark: str) -> bool:
        self.looks += 1
        if self.looks == 1:
            self.relay.look_for_mark()
        return await super().remembers(mark)

    async def _leave_mark(self, mark: str) -> None:  # noqa: ARG002  # the protocol's
        self.has_mark.set()


async def sent(database: Database, count: int) -> None:
    """Said, and sent just now."""
    await say(database, count)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE outbox SET sent_at = clock_timestamp()"))


async def define(database: Database, *statements: str) -> None:
    async with database.transaction() as tx:
        for statement in statements:
            await tx.execute(text(statement))


async def has_events(broker: str, count: int) -> bool:
    return await queues.depth(broker, BILLING_ACCOUNTS) == count
