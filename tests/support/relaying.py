"""An outbox to say things in, and relays that run while a test looks at it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Self

from sqlalchemy import func, select

from libs.common import outbox
from libs.common.broker.protocol import Message, Unsent
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.broker.topology import BILLING_ACCOUNTS
from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.event import encode
from libs.common.database import Database
from tests.support import queues

QUICK: Final = timedelta(milliseconds=20)


class Relaying:
    """A relay that runs until the block ends."""

    def __init__(self, relay: outbox.Relay) -> None:
        """Begins with the block."""
        self._relay, self._stop = relay, asyncio.Event()

    async def __aenter__(self) -> Self:
        """Run it."""
        self.task = asyncio.create_task(self._relay.run(self._stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ask it to stop, and wait for that."""
        self._stop.set()
        await asyncio.gather(self.task, return_exceptions=True)


class Slow:
    """A publisher that leaves another relay time to look while rows are locked."""

    def __init__(self, publisher: RabbitMQPublisher) -> None:
        """In front of `publisher`."""
        self._publisher = publisher
        self.is_ready, self.publish = publisher.is_ready, publisher.publish
        self.leave_mark = publisher.leave_mark

    async def remembers(self, mark: str) -> bool:
        """As the one behind it."""
        return await self._publisher.remembers(mark)

    async def publish_many(self, messages: Sequence[Message]) -> list[Unsent | None]:
        """The same, a little later."""
        reasons = await self._publisher.publish_many(messages)
        await asyncio.sleep(0.02)
        return reasons


async def say(database: Database, count: int) -> list[bytes]:
    """Events that billing reads; their bodies."""
    events = [AccountCreated(account_id=f"acc_{number}") for number in range(count)]
    async with database.transaction() as tx:
        for event in events:
            await outbox.add(tx, event)
    return [encode(event) for event in events]


async def left(database: Database) -> int:
    """How many were not sent yet."""
    async with database.transaction() as tx:
        unsent = outbox.OUTBOX.c.sent_at.is_(None)
        return await tx.scalar(select(func.count()).select_from(outbox.OUTBOX).where(unsent)) or 0


async def is_empty(database: Database) -> bool:
    """Whether all were sent."""
    return await left(database) == 0


async def has_rows(database: Database, count: int) -> bool:
    """Whether so many are there, sent or not."""
    async with database.transaction() as tx:
        return await tx.scalar(select(func.count()).select_from(outbox.OUTBOX)) == count


async def has_message(broker: str) -> bool:
    """Whether one waits for billing."""
    return await queues.depth(broker, BILLING_ACCOUNTS) > 0


def failures() -> float:
    """Passes of relays in this process that an error ended."""
    samples = (sample for metric in outbox.FAILED.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))
