"""`reqrun parked`: what lies in the broker is looked at, put back to its reader, or dropped."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import msgspec
import pytest

from deploy.local.servers.rabbitmq import RabbitMq
from deploy.operator.parked.commands import NothingChosen
from libs.common.broker.topology import PARKED
from tests.support import desks, queues
from tests.support.desks import AtDesk
from tests.support.stack import System
from tests.support.waiting import until

QUEUE = "billing.accounts.parked"
EVENT = msgspec.json.encode({"type": "account.created", "account_id": "acc_a"})


@pytest.fixture
async def broker(rabbitmq_server: RabbitMq) -> AsyncIterator[str]:
    await queues.reset(rabbitmq_server.url)
    yield rabbitmq_server.url
    await queues.reset(rabbitmq_server.url)


@pytest.fixture
def at(broker: str) -> AtDesk:
    return AtDesk(desks.of_environment({"REQRUN_BROKER_URL": broker}))


async def park(url: str, queue: str, body: bytes, event_id: str) -> None:
    async with queues.side_channel(url) as channel:
        exchange = await channel.get_exchange(PARKED, ensure=False)
        message = aio_pika.Message(body, headers={"event_id": event_id}, delivery_mode=2)
        await exchange.publish(message, routing_key=queue.removesuffix(".parked"))


async def test_a_look_leaves_everything_where_it_is(broker: str, at: AtDesk) -> None:
    await park(broker, QUEUE, EVENT, "accounts/1")
    await park(broker, QUEUE, b"\xff canary not for anybody", "accounts/2")

    for _ in range(3):
        shown = await asyncio.to_thread(at.ask, "parked", "show", QUEUE)
        assert [one.event_id for one in shown.messages] == ["accounts/1", "accounts/2"]

    readable, unreadable = shown.messages
    assert readable.kind == "account.created"
    assert (unreadable.kind, unreadable.bytes) == (None, 24)
    assert "canary" not in str(shown)
    assert await queues.depth(broker, QUEUE) == 2


async def test_a_hint_is_told_by_its_request(broker: str, at: AtDesk) -> None:
    hint = b"rr_01m83r4d56a09wc6w53m9s1vfa"
    await park(broker, "work.first.parked", hint, "")

    shown = await asyncio.to_thread(at.ask, "parked", "show", "work.first.parked")

    assert [one.kind for one in shown.messages] == [hint.decode()]


async def test_what_is_put_back_goes_to_its_own_reader_alone(broker: str, at: AtDesk) -> None:
    await park(broker, QUEUE, EVENT, "accounts/1")
    await park(broker, QUEUE, b"{}", "accounts/2")

    told = await asyncio.to_thread(at.ask, "parked", "put-back", QUEUE, "--event-id", "accounts/1")

    assert (told.is_good, told.count) == (True, 1)
    [message] = await queues.drain_messages(broker, "billing.accounts")
    assert (message.body, message.headers["event_id"]) == (EVENT, "accounts/1")
    assert await queues.depth(broker, QUEUE) == 1
    assert await queues.depth(broker, "executor.accounts") == 0


async def test_everything_is_dropped_only_by_who_is_sure(broker: str, at: AtDesk) -> None:
    for number in range(3):
        await park(broker, QUEUE, b"{}", f"accounts/{number}")

    with pytest.raises(NothingChosen):
        await asyncio.to_thread(at.ask, "parked", "drop", QUEUE, "--all")
    with pytest.raises(NothingChosen):
        await asyncio.to_thread(at.ask, "parked", "put-back", QUEUE)
    told = await asyncio.to_thread(at.ask, "parked", "drop", QUEUE, "--all", "--yes")

    assert told.count == 3
    assert await queues.depth(broker, QUEUE) == 0


async def test_places_that_cannot_be_looked_at_are_named(at: AtDesk) -> None:
    listed = await asyncio.to_thread(at.ask, "parked", "list")

    assert (listed.is_good, listed.lying) == (False, [])
    assert set(listed.failed) == {
        "outbox of requests", "outbox of accounts", "outbox of billing", "mails", "webhooks",
    }  # fmt: skip


async def test_the_operators_own_user_may_look_put_back_and_drop(
    system: System, desk: AtDesk
) -> None:
    """What is put back reaches its reader, who cannot read it either: it is parked anew."""
    url = system.stack.rabbitmq.url
    await park(url, QUEUE, b"no event", "accounts/1")

    async def is_parked() -> bool:
        return await queues.depth(url, QUEUE) == 1

    await until(is_parked)
    listed = await asyncio.to_thread(desk.ask, "parked", "list")
    [lying] = [one for one in listed.lying if one.place == "broker"]
    assert (listed.is_good, lying.what, lying.count) == (True, QUEUE, 1)
    back = await asyncio.to_thread(desk.ask, "parked", "put-back", QUEUE, "--all")
    await until(is_parked)
    gone = await asyncio.to_thread(desk.ask, "parked", "drop", QUEUE, "--all", "--yes")

    assert (back.count, gone.count) == (1, 1)
