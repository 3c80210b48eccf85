"""The relay between a real PostgreSQL and a real RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Self

import pytest
from sqlalchemy import func, insert, select, text

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common import outbox
from libs.common.broker.protocol import Message, Unsent
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.broker.topology import BILLING_ACCOUNTS
from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.event import encode
from libs.common.database import Database
from libs.common.settings import Secret
from tests.support import queues
from tests.support.waiting import until

QUICK = timedelta(milliseconds=20)


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[Database]:
    async with Database(Secret(empty_database), application="test") as database:
        async with database.transaction() as tx:
            for statement in outbox.create_sql():
                await tx.execute(text(statement))
        yield database


@pytest.fixture
async def broker(rabbitmq_server: RabbitMq) -> str:
    await queues.reset(rabbitmq_server.url)
    return rabbitmq_server.url


@pytest.fixture
async def publisher(broker: str) -> AsyncIterator[RabbitMQPublisher]:
    async with RabbitMQPublisher(Secret(broker), name="test") as publisher:
        await until(publisher.is_ready)
        yield publisher


class Relaying:
    """A relay that runs until the block ends."""

    def __init__(self, relay: outbox.Relay) -> None:
        self._relay, self._stop = relay, asyncio.Event()

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self._relay.run(self._stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(self.task, return_exceptions=True)


async def say(database: Database, count: int) -> list[bytes]:
    events = [AccountCreated(account_id=f"acc_{number}") for number in range(count)]
    async with database.transaction() as tx:
        for event in events:
            await outbox.add(tx, event)
    return [encode(event) for event in events]


async def left(database: Database) -> int:
    async with database.transaction() as tx:
        unsent = outbox.OUTBOX.c.sent_at.is_(None)
        return await tx.scalar(select(func.count()).select_from(outbox.OUTBOX).where(unsent)) or 0


async def is_empty(database: Database) -> bool:
    return await left(database) == 0


async def test_what_was_said_is_published_once(
    broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    bodies = await say(database, 150)

    async with Relaying(outbox.Relay(database, publisher, poll=QUICK)):
        await until(lambda: is_empty(database))

    messages = await queues.drain_messages(broker, BILLING_ACCOUNTS)
    assert [message.body for message in messages] == bodies
    assert messages[0].headers["event_id"] == f"{database.name}/1"


async def test_events_that_can_be_joined_go_out_in_few_messages_and_nothing_is_missing(
    broker: str, database: Database, publisher: RabbitMQPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = await say(database, 50)
    monkeypatch.setattr(outbox, "JOINED_BYTES", 20 * len(bodies[-1]))
    relay = outbox.Relay(database, publisher, joins={"account.created": b"\n".join}, poll=QUICK)

    async with Relaying(relay):
        await until(lambda: is_empty(database))

    sent = await queues.drain(broker, BILLING_ACCOUNTS)
    assert [body.count(b"\n") + 1 for body in sent] == [20, 20, 10]
    assert b"\n".join(sent).split(b"\n") == bodies


async def test_what_was_sent_lately_is_sent_again_by_who_finds_the_broker_wiped(
    broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    bodies = await say(database, 3)
    relay = outbox.Relay(database, publisher, poll=QUICK)
    async with Relaying(relay):
        await until(lambda: is_empty(database))
        await queues.forget(broker, f"reqrun.relay.{database.name}")
        async with database.transaction() as tx:
            await tx.execute(
                text("UPDATE outbox SET sent_at = sent_at - interval '2 hours' WHERE id = 1")
            )
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


async def has_message(broker: str) -> bool:
    return await queues.depth(broker, BILLING_ACCOUNTS) > 0


async def test_what_was_sent_long_ago_is_dropped(
    database: Database, publisher: RabbitMQPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "TIDY_EVERY", QUICK)
    await say(database, 3)
    relay = outbox.Relay(database, publisher, poll=QUICK)
    stop = asyncio.Event()
    tidying = asyncio.create_task(relay.keep_tidy(stop))
    async with Relaying(relay):
        await until(lambda: is_empty(database))
    async with database.transaction() as tx:
        await tx.execute(
            text("UPDATE outbox SET sent_at = sent_at - interval '61 min' WHERE id < 3")
        )

    await until(lambda: has_rows(database, 1))
    stop.set()
    await tidying


async def test_what_somebody_else_still_needs_is_not_dropped(
    database: Database, publisher: RabbitMQPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "TIDY_EVERY", QUICK)
    await say(database, 3)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE outbox SET sent_at = now() - interval '61 min'"))
    relay = outbox.Relay(database, publisher, unless="outbox.id = 1", poll=QUICK)
    stop = asyncio.Event()
    tidying = asyncio.create_task(relay.keep_tidy(stop))

    await until(lambda: has_rows(database, 1))
    stop.set()
    await tidying

    async with database.transaction() as tx:
        assert await tx.scalar(select(outbox.OUTBOX.c.id)) == 1


async def has_rows(database: Database, count: int) -> bool:
    async with database.transaction() as tx:
        return await tx.scalar(select(func.count()).select_from(outbox.OUTBOX)) == count


async def test_an_event_said_later_is_found_by_polling(
    broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    async with Relaying(outbox.Relay(database, publisher, poll=QUICK)):
        await until(lambda: is_empty(database))
        bodies = await say(database, 1)
        await until(lambda: is_empty(database))

    assert await queues.drain(broker, BILLING_ACCOUNTS) == bodies


async def test_two_relays_send_everything_once(
    broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    bodies = await say(database, 600)

    relays = [outbox.Relay(database, Slow(publisher), poll=QUICK) for _ in range(2)]
    async with Relaying(relays[0]), Relaying(relays[1]):
        await until(lambda: is_empty(database))

    assert sorted(await queues.drain(broker, BILLING_ACCOUNTS)) == sorted(bodies)


class Slow:
    """Leaves the other relay time to look while rows are locked."""

    def __init__(self, publisher: RabbitMQPublisher) -> None:
        self._publisher = publisher
        self.is_ready, self.publish = publisher.is_ready, publisher.publish
        self.remembers, self.leave_mark = publisher.remembers, publisher.leave_mark

    async def publish_many(self, messages: Sequence[Message]) -> list[Unsent | None]:
        reasons = await self._publisher.publish_many(messages)
        await asyncio.sleep(0.02)
        return reasons


async def test_what_was_joined_and_not_marked_is_all_sent_again(
    broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    bodies = await say(database, 3)
    dying = Dying(publisher)
    joins = {"account.created": b"\n".join}

    async with Relaying(outbox.Relay(database, dying, joins=joins, poll=QUICK)) as relaying:
        await dying.has_published.wait()
        relaying.task.cancel()
    async with Relaying(outbox.Relay(database, publisher, joins=joins, poll=QUICK)):
        await until(lambda: is_empty(database))

    assert await queues.drain(broker, BILLING_ACCOUNTS) == [b"\n".join(bodies)] * 2


async def test_a_relay_that_dies_between_publishing_and_deleting_sends_twice_and_loses_nothing(
    broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    bodies = await say(database, 3)
    dying = Dying(publisher)

    async with Relaying(outbox.Relay(database, dying, poll=QUICK)) as relaying:
        await dying.has_published.wait()
        relaying.task.cancel()
    assert await left(database) == 3
    async with Relaying(outbox.Relay(database, publisher, poll=QUICK)):
        await until(lambda: is_empty(database))

    assert sorted(await queues.drain(broker, BILLING_ACCOUNTS)) == sorted(bodies * 2)


class Dying(Slow):
    """Publishes, and never comes back to say so."""

    def __init__(self, publisher: RabbitMQPublisher) -> None:
        super().__init__(publisher)
        self.has_published = asyncio.Event()

    async def publish_many(self, messages: Sequence[Message]) -> list[Unsent | None]:
        await self._publisher.publish_many(messages)
        self.has_published.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_while_the_broker_is_away_events_wait_and_then_go(
    rabbitmq_server: RabbitMq, broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    bodies = await say(database, 5)
    await asyncio.to_thread(rabbitmq_server.control, "close_all_connections", "test")
    await until(lambda: not publisher.is_ready())

    async with Relaying(outbox.Relay(database, publisher, poll=QUICK)):
        await until(lambda: is_empty(database))

    assert set(await queues.drain(broker, BILLING_ACCOUNTS)) == set(bodies)


@pytest.mark.parametrize("stuck", [1, outbox.BATCH, 2 * outbox.BATCH + 1])
async def test_events_that_nobody_reads_stay_and_the_others_go(
    broker: str, database: Database, publisher: RabbitMQPublisher, stuck: int
) -> None:
    async with database.transaction() as tx:
        row = {"routing_key": "nobody.listens", "body": b"{}"}
        await tx.execute(insert(outbox.OUTBOX), [row] * stuck)
    bodies = await say(database, 2 * outbox.BATCH)

    async def are_these_left() -> bool:
        return await left(database) == stuck

    async with Relaying(outbox.Relay(database, publisher, poll=QUICK)):
        await until(are_these_left)

    assert sorted(await queues.drain(broker, BILLING_ACCOUNTS)) == sorted(bodies)


async def test_a_relay_goes_on_after_its_database_was_away(
    broker: str, database: Database, publisher: RabbitMQPublisher
) -> None:
    async with Relaying(outbox.Relay(database, publisher, poll=QUICK)):
        await until(lambda: is_empty(database))
        async with database.transaction() as tx:
            await tx.execute(text("ALTER TABLE outbox RENAME TO hidden"))
        await until(lambda: failures() > 0)
        async with database.transaction() as tx:
            await tx.execute(text("ALTER TABLE hidden RENAME TO outbox"))
        bodies = await say(database, 1)
        await until(lambda: is_empty(database))

    assert await queues.drain(broker, BILLING_ACCOUNTS) == bodies


def failures() -> float:
    return sum(sample.value for metric in outbox.FAILED.collect() for sample in metric.samples)
