"""Events read from a real RabbitMQ: acked, parked or returned, nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.dispatch import EventReader, Patience
from libs.common.broker.protocol import Message
from libs.common.broker.rabbitmq import RabbitMQConsumer, RabbitMQPublisher
from libs.common.broker.topology import BILLING_ACCOUNTS, EVENTS
from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.event import encode, routing_key
from libs.common.settings import Secret
from tests.support import queues
from tests.support.waiting import until

PARKED = f"{BILLING_ACCOUNTS}.parked"
QUICK = Patience(first=timedelta(milliseconds=10), longest=timedelta(milliseconds=20))


class Stage:
    """A reader of `account.created` whose handler is the test's."""

    def __init__(self, url: str, publisher: RabbitMQPublisher) -> None:
        self.url, self.publisher = url, publisher

    async def tell(self, *account_ids: str) -> None:
        for account_id in account_ids:
            await self.tell_bytes(encode(AccountCreated(account_id=account_id)))

    async def tell_bytes(self, body: bytes) -> None:
        key = routing_key(AccountCreated)
        await self.publisher.publish(Message(EVENTS, key, body, event_id="accounts/1"))

    @asynccontextmanager
    async def reading(
        self,
        handle: Callable[[AccountCreated], Awaitable[None]],
        *,
        patience: Patience = QUICK,
        limit: int = 4,
    ) -> AsyncIterator[asyncio.Event]:
        stop = asyncio.Event()
        consumer = RabbitMQConsumer(
            Secret(self.url), name="test", queues=(BILLING_ACCOUNTS,), prefetch=limit
        )
        async with consumer:
            reader = EventReader(
                consumer,
                self.publisher,
                {AccountCreated: handle},
                limit=limit,
                patience=patience,
            )
            running = asyncio.create_task(reader.run(stop))
            try:
                yield stop
            finally:
                stop.set()
                await running


@pytest.fixture
async def stage(rabbitmq_server: RabbitMq) -> AsyncIterator[Stage]:
    url = rabbitmq_server.url
    await queues.reset(url)
    async with RabbitMQPublisher(Secret(url), name="test") as publisher:
        await until(publisher.is_ready)
        yield Stage(url, publisher)
    await queues.reset(url)


async def test_an_event_reaches_its_handler_once_and_is_gone(stage: Stage) -> None:
    heard: list[str] = []

    async def handle(event: AccountCreated) -> None:
        heard.append(event.account_id)

    async with stage.reading(handle):
        await stage.tell("acc_1", "acc_2")
        await until(lambda: len(heard) == 2)

    assert sorted(heard) == ["acc_1", "acc_2"]
    assert await queues.drain(stage.url, BILLING_ACCOUNTS) == []


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"not json",
        b'{"type":"account.created"}',
        b'{"type":"account.created.v2","account_id":"acc_1"}',
        b'{"type":"account.created","account_id":"\xff"}',
        b'{"type":"account.created","account_id":"acc_1","more":' + b"[" * 100_000,
    ],
    ids=["empty", "binary", "text", "fields-missing", "other-version", "bad-utf8", "deep"],
)
async def test_what_can_never_be_read_is_parked_as_it_was_and_the_others_flow(
    stage: Stage, body: bytes
) -> None:
    heard: list[str] = []

    async def handle(event: AccountCreated) -> None:
        heard.append(event.account_id)

    async with stage.reading(handle, limit=1):
        await stage.tell_bytes(body)
        await stage.tell("acc_after")
        await until(lambda: heard == ["acc_after"])

    [parked] = await queues.drain_messages(stage.url, PARKED)
    assert parked.body == body
    assert parked.headers["event_id"] == "accounts/1"
    assert await queues.drain(stage.url, BILLING_ACCOUNTS) == []


async def test_a_field_that_is_not_known_here_disturbs_nobody(stage: Stage) -> None:
    heard: list[AccountCreated] = []

    async def handle(event: AccountCreated) -> None:
        heard.append(event)

    async with stage.reading(handle):
        await stage.tell_bytes(b'{"type":"account.created","account_id":"acc_1","added":[1]}')
        await until(lambda: heard == [AccountCreated(account_id="acc_1")])


async def test_a_handler_that_fails_is_called_again_in_place_until_it_succeeds(
    stage: Stage,
) -> None:
    calls: list[str] = []

    async def handle(event: AccountCreated) -> None:
        calls.append(event.account_id)
        if len(calls) < 4:
            raise ConnectionError

    async with stage.reading(handle):
        await stage.tell("acc_1")
        await until(lambda: len(calls) == 4)

    assert await queues.drain(stage.url, BILLING_ACCOUNTS) == []
    assert await queues.drain(stage.url, PARKED) == []
    assert calls == ["acc_1"] * 4


async def test_a_failing_event_does_not_hold_up_the_others(stage: Stage) -> None:
    heard: list[str] = []

    async def handle(event: AccountCreated) -> None:
        if event.account_id == "acc_bad":
            raise ConnectionError
        heard.append(event.account_id)

    async with stage.reading(handle, limit=2):
        await stage.tell("acc_bad", *(f"acc_{number}" for number in range(20)))
        await until(lambda: len(heard) == 20)

    assert await queues.drain(stage.url, BILLING_ACCOUNTS) == [
        encode(AccountCreated(account_id="acc_bad"))
    ]


async def test_a_handler_that_goes_on_failing_gives_its_event_back(stage: Stage) -> None:
    calls: list[str] = []

    async def handle(event: AccountCreated) -> None:
        calls.append(event.account_id)
        raise ConnectionError

    patience = Patience(
        first=timedelta(milliseconds=10),
        longest=timedelta(milliseconds=10),
        total=timedelta(milliseconds=30),
    )
    async with stage.reading(handle, patience=patience):
        await stage.tell("acc_1")
        await until(lambda: len(calls) > 10)

    [back] = await queues.drain_messages(stage.url, BILLING_ACCOUNTS)
    assert back.redelivered


async def test_no_more_handlers_run_than_the_limit(stage: Stage) -> None:
    running, most, done = 0, 0, 0
    go = asyncio.Event()

    async def handle(_: AccountCreated) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await go.wait()
        running, done = running - 1, done + 1

    async with stage.reading(handle, limit=3):
        await stage.tell(*(f"acc_{number}" for number in range(12)))
        await until(lambda: running == 3)
        go.set()
        await until(lambda: done == 12)

    assert most == 3


async def test_a_handler_outlives_the_loss_of_the_connection_and_the_event_comes_again(
    rabbitmq_server: RabbitMq, stage: Stage
) -> None:
    started, ended = 0, 0
    go = asyncio.Event()

    async def handle(_: AccountCreated) -> None:
        nonlocal started, ended
        started += 1
        await go.wait()
        ended += 1

    async with stage.reading(handle):
        await stage.tell("acc_1")
        await until(lambda: started == 1)
        await asyncio.to_thread(rabbitmq_server.control, "close_all_connections", "test")
        await until(lambda: started == 2)
        go.set()
        await until(lambda: ended == 2)

    assert await queues.drain(stage.url, BILLING_ACCOUNTS) == []


async def test_at_the_end_running_handlers_finish_and_the_rest_goes_back(stage: Stage) -> None:
    started: list[str] = []
    ended: list[str] = []
    go = asyncio.Event()

    async def handle(event: AccountCreated) -> None:
        started.append(event.account_id)
        await go.wait()
        ended.append(event.account_id)

    async with stage.reading(handle, limit=1):
        await stage.tell("acc_1", "acc_2")
        await until(lambda: started == ["acc_1"])
        asyncio.get_running_loop().call_later(0.1, go.set)

    assert ended == ["acc_1"]
    assert await queues.drain(stage.url, BILLING_ACCOUNTS) == [
        encode(AccountCreated(account_id="acc_2"))
    ]


async def test_a_stop_takes_nothing_more_while_what_runs_is_finished(stage: Stage) -> None:
    started: list[str] = []
    go = asyncio.Event()

    async def handle(event: AccountCreated) -> None:
        started.append(event.account_id)
        await go.wait()

    async def is_left_there() -> bool:
        return await queues.depth(stage.url, BILLING_ACCOUNTS) == 1

    async with stage.reading(handle, limit=4) as stop:
        await stage.tell("acc_1")
        await until(lambda: started == ["acc_1"])
        stop.set()
        await stage.tell("acc_2")
        await until(is_left_there)
        go.set()

    assert started == ["acc_1"]
    assert await queues.drain(stage.url, BILLING_ACCOUNTS) == [
        encode(AccountCreated(account_id="acc_2"))
    ]


async def test_a_handler_that_does_not_end_is_cancelled_and_its_event_goes_back(
    stage: Stage,
) -> None:
    started: list[str] = []

    async def handle(event: AccountCreated) -> None:
        started.append(event.account_id)
        await asyncio.Event().wait()

    patience = Patience(grace=timedelta(milliseconds=50))
    async with stage.reading(handle, patience=patience):
        await stage.tell("acc_1")
        await until(lambda: started == ["acc_1"])

    assert len(await queues.drain(stage.url, BILLING_ACCOUNTS)) == 1
