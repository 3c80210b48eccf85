"""The relay between a real PostgreSQL and a real RabbitMQ."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import insert, text

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common import outbox
from libs.common.broker.protocol import Message, Unsent
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.broker.topology import BILLING_ACCOUNTS
from libs.common.database import Database
from tests.support import queues
from tests.support.relaying import QUICK, Relaying, Slow, failures, is_empty, left, say
from tests.support.waiting import until


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
