"""What accounts tells about projects, heard by a dispatcher on real servers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from deploy.local.ports import free_ports
from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis as RedisServer
from libs.common.broker.protocol import Message
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.broker.topology import EVENTS, EXECUTOR_PROJECTS
from libs.common.contracts.accounts import (
    AccountDeleted,
    AccountDeletionStarted,
    ProjectDeleted,
    ProjectPaused,
    ProjectResumed,
)
from libs.common.contracts.event import Event, encode, routing_key
from libs.common.contracts.gateway import WAKE_UP_CHANNEL, Ended, decode_wake_up
from libs.common.settings import Secret
from services.executor.adapters.standings import AccountsStandings
from services.executor.app import open_dispatcher
from services.executor.ports import DispatcherPorts
from services.executor.settings import DispatcherSettings
from services.executor.use_cases import projects
from tests.support import queues
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.ledgers import Bench, bench, ending
from tests.support.service_keys import ServiceKey
from tests.support.waiting import until


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(ledger_url) as hands:
        yield hands


@pytest.fixture
def executor_key() -> ServiceKey:
    return ServiceKey("executor")


@pytest.fixture
async def accounts(executor_key: ServiceKey) -> AsyncIterator[AccountsStandIn]:
    stand_in = AccountsStandIn(ServiceKey("gateway"), b"p" * 32, executor_key)
    async with stand_in.running():
        yield stand_in


@pytest.fixture
def settings(
    ledger: Bench,
    rabbitmq_server: RabbitMq,
    redis_server: RedisServer,
    accounts: AccountsStandIn,
    executor_key: ServiceKey,
) -> DispatcherSettings:
    return DispatcherSettings(
        internal_port=free_ports(),
        ledger_url=Secret(ledger.url),
        broker_url=Secret(rabbitmq_server.url),
        redis_url=Secret(redis_server.url),
        accounts_url=accounts.url,
        service_key=executor_key.private,
        service_key_id=executor_key.key_id,
    )


@asynccontextmanager
async def dispatcher(settings: DispatcherSettings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with open_dispatcher(settings) as loops:
        tasks = [asyncio.ensure_future(loop(stop)) for loop in loops]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)


@pytest.fixture
async def publisher(
    rabbitmq_server: RabbitMq, settings: DispatcherSettings
) -> AsyncIterator[RabbitMQPublisher]:
    """Speaks for accounts, while two dispatchers run."""
    await queues.reset(rabbitmq_server.url)
    other = msgspec.structs.replace(settings, internal_port=free_ports())
    async with (
        dispatcher(settings),
        dispatcher(other),
        RabbitMQPublisher(Secret(rabbitmq_server.url), name="accounts") as speaker,
    ):
        await until(speaker.is_ready)
        yield speaker


async def tell(publisher: RabbitMQPublisher, *events: Event) -> None:
    for number, event in enumerate(events):
        await publisher.publish(
            Message(EVENTS, routing_key(event), encode(event), f"accounts/{number}")
        )


async def has_slot(ledger: Bench, request_id: str) -> bool:
    connection = await asyncpg.connect(ledger.url)
    try:
        return bool(
            await connection.fetchval(
                "SELECT slot_at IS NOT NULL FROM live WHERE id = $1", request_id
            )
        )
    finally:
        await connection.close()


async def test_a_paused_project_keeps_no_slot_until_it_is_resumed(
    ledger: Bench, publisher: RabbitMQPublisher, accounts: AccountsStandIn
) -> None:
    request_id = (await ledger.accept()).request_id
    other = (await ledger.accept(project_id="prj_other")).request_id

    async def is_waiting() -> bool:
        return not await has_slot(ledger, request_id)

    accounts.paused.add("prj_a")
    await tell(publisher, ProjectPaused(project_id="prj_a"), ProjectPaused(project_id="prj_a"))
    await until(is_waiting)
    assert await has_slot(ledger, other)

    accounts.paused.clear()
    await tell(publisher, ProjectResumed(project_id="prj_a"))
    await until(lambda: has_slot(ledger, request_id))


@pytest.mark.parametrize("is_paused", [True, False])
async def test_events_that_overtake_each_other_end_where_the_project_stands(
    ledger: Bench, publisher: RabbitMQPublisher, accounts: AccountsStandIn, *, is_paused: bool
) -> None:
    """Two dispatchers and four events at a time: none of these is handled in the order told."""
    request_id = (await ledger.accept()).request_id
    pair = (ProjectPaused(project_id="prj_a"), ProjectResumed(project_id="prj_a"))
    before = settled()

    for _ in range(6):
        accounts.paused ^= {"prj_a"}
        await tell(publisher, *pair)
    accounts.paused = {"prj_a"} if is_paused else set()
    await tell(publisher, *reversed(pair))

    await until(lambda: settled() - before >= 7 * len(pair))
    if is_paused:
        assert not await has_slot(ledger, request_id)
    else:
        await until(lambda: has_slot(ledger, request_id))


def settled() -> float:
    """Events about projects that were handled, by all dispatchers here."""
    labels = {"queue": EXECUTOR_PROJECTS, "fate": "acked"}
    return REGISTRY.get_sample_value("reqrun_events_settled_total", labels) or 0


async def test_while_accounts_is_away_an_event_waits(
    ledger: Bench, publisher: RabbitMQPublisher, accounts: AccountsStandIn
) -> None:
    request_id = (await ledger.accept()).request_id
    accounts.paused.add("prj_a")
    accounts.silence()
    await tell(publisher, ProjectPaused(project_id="prj_a"))
    assert await has_slot(ledger, request_id)

    accounts.speak()

    async def is_waiting() -> bool:
        return not await has_slot(ledger, request_id)

    await until(is_waiting)


async def test_an_erased_projects_requests_are_cancelled_and_their_content_is_gone(
    ledger: Bench,
    publisher: RabbitMQPublisher,
    redis_server: RedisServer,
    accounts: AccountsStandIn,
) -> None:
    redis = Redis.from_url(redis_server.url)
    heard = redis.pubsub()
    await heard.subscribe(WAKE_UP_CHANNEL)
    assert await heard.get_message(timeout=5) is not None
    request_id = (await ledger.accept()).request_id
    other = (await ledger.accept(project_id="prj_other")).request_id

    accounts.erased.add("prj_a")
    gone = ProjectDeleted(project_id="prj_a")
    await tell(publisher, gone, gone)

    async def is_cancelled() -> bool:
        rows = await ledger.peek("SELECT request_id FROM results WHERE state = 'cancelled'")
        return [row["request_id"] for row in rows] == [request_id]

    async def has_no_content() -> bool:
        rows = await ledger.peek(
            "SELECT request_id FROM bodies UNION SELECT request_id FROM body_keys"
        )
        return [row["request_id"] for row in rows] == [other]

    await until(is_cancelled)
    await until(has_no_content)
    message = await heard.get_message(ignore_subscribe_messages=True, timeout=10)
    assert message is not None
    assert decode_wake_up(message["data"]) == [Ended(request_id)]
    await heard.aclose()  # type: ignore[no-untyped-call]
    await redis.aclose()


async def test_an_account_that_is_about_to_be_deleted_stands_still_until_that_is_undone(
    ledger: Bench, publisher: RabbitMQPublisher, accounts: AccountsStandIn
) -> None:
    ids = [(await ledger.accept(project_id=one)).request_id for one in ("prj_a", "prj_b")]

    async def all_wait() -> bool:
        return not any([await has_slot(ledger, one) for one in ids])

    accounts.paused |= {"prj_a", "prj_b"}
    told = AccountDeletionStarted(account_id="acc_a", project_ids=("prj_a", "prj_b"))
    await tell(publisher, told, told)
    await until(all_wait)

    accounts.paused.clear()
    await tell(publisher, told)  # late: it says nothing of its own
    await until(lambda: has_slot(ledger, ids[0]))
    await until(lambda: has_slot(ledger, ids[1]))


async def test_of_a_deleted_account_every_record_goes_and_of_nobody_else(
    ledger: Bench, publisher: RabbitMQPublisher, accounts: AccountsStandIn
) -> None:
    """Told twice, and with a project that accounts says lives on: a restored backup, perhaps."""
    done = await ledger.claimed()
    await ledger.finish(ending(done))
    await ledger.accept(project_id="prj_b")
    kept = await ledger.claimed(project_id="prj_lives")
    await ledger.finish(ending(kept))
    accounts.forgotten |= {"prj_a", "prj_b"}
    told = AccountDeleted(account_id="acc_a", project_ids=("prj_a", "prj_b", "prj_lives"))

    await tell(publisher, ProjectDeleted(project_id="prj_a"), told, told)

    async def is_asked() -> bool:
        return await ledger.count("erasures") == 2

    await until(is_asked)
    redis_free = DispatcherPorts(
        ledger=ledger.dispatcher,
        publisher=publisher,
        standings=AccountsStandings.__new__(AccountsStandings),
        wakeups=Silent(),
    )
    await projects.forget(redis_free)
    left = {row["id"] for row in await ledger.peek("SELECT id FROM requests")}
    assert left == {kept.request_id}


class Silent:
    """Nobody waits."""

    def tell(self, ended: Sequence[Ended]) -> None:
        """It is not heard."""
