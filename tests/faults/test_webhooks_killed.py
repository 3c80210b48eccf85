"""Whoever takes webhooks in, or takes them over, dies at every step: each has its effect, once."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import httpx2
import msgspec
import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.clock import SystemClock
from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.billing import PlanChanged, SubscriptionEnded
from libs.common.database import Database
from services.billing import app
from services.billing.ports import Ports
from services.billing.use_cases import accounts
from tests.support.paddle_events import PRICES, SECRET, event_time, signature
from tests.support.paddle_histories import ENDS_AT, History, histories
from tests.support.paddle_inbox import rows, told
from tests.support.service_database import ServiceDatabase
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

DOOR = ("webhook.before_commit:3", "webhook.after_commit:5", "webhook.before_commit", "")
WORKER = (
    "processing.before_commit", "processing.after_commit", "processing.before_commit:2", "",
)  # fmt: skip
KINDS = ("customers", "addresses", "businesses", "subscriptions", "transactions", "adjustments")


@pytest.fixture
async def database(postgresql_server: PostgreSql) -> AsyncIterator[ServiceDatabase]:
    made = ServiceDatabase(postgresql_server, "billing")
    await made.create(app.VERSIONS)
    yield made
    made.drop()


@pytest.fixture
def variables(database: ServiceDatabase, rabbitmq_server: RabbitMq) -> Iterator[dict[str, str]]:
    with database.lent() as address:
        yield {
            "DATABASE_URL": database.url(address).reveal(),
            "BROKER_URL": rabbitmq_server.url,
            "PADDLE_WEBHOOK_SECRETS": SECRET.reveal(),
            "PADDLE_PRICES": msgspec.json.encode(PRICES).decode(),
        }


@pytest.fixture
async def ports(database: ServiceDatabase, variables: dict[str, str]) -> AsyncIterator[Ports]:
    url = database.url(variables["DATABASE_URL"])
    async with Database(url, application="test") as db:
        yield Ports(db=db, clock=SystemClock(), prices=PRICES)


def process(role: str, variables: dict[str, str], folder: Path, crash_at: str) -> ServiceProcess:
    armed = {"CRASH_AT": crash_at} if crash_at else {}
    return ServiceProcess("billing", role, variables | armed, folder)


class Paddle:
    """Sends each webhook until it is answered with 200, to whoever listens there."""

    def __init__(self, port: str, client: httpx2.AsyncClient) -> None:
        self._url, self._client = f"http://127.0.0.1:{port}/webhooks/paddle", client

    async def send(self, body: bytes) -> bool:
        """Whether it was taken."""
        header = {"Paddle-Signature": signature(body, datetime.now(UTC))}
        try:
            answer = await self._client.post(self._url, content=body, headers=header)
        except httpx2.TransportError:
            return False
        return answer.status_code == httpx2.codes.OK


async def send_all(
    bodies: list[bytes], variables: dict[str, str], folder: Path, client: httpx2.AsyncClient
) -> None:
    """The process that listens dies at each of the points, one after the other."""
    port = str(free_ports())
    paddle, left = Paddle(port, client), bodies
    for crash_at in DOOR:
        door = process("web", variables | {"PORT": port}, folder, crash_at)
        door.process.start()
        try:
            await until(door.is_ready)
            while left and door.process.is_running:
                some = left[:4]
                taken = await asyncio.gather(*map(paddle.send, some))
                left = [body for body, is_taken in zip(some, taken, strict=True) if not is_taken
                        ] + left[4:]  # fmt: skip
            assert crash_at == "" or not door.process.is_running, crash_at
        finally:
            door.process.stop()
    assert left == []


async def take_over(ports: Ports, variables: dict[str, str], folder: Path) -> None:
    """The worker dies at each of the points, one after the other."""

    async def is_done() -> bool:
        return all(row["state"] != "waiting" for row in await rows(ports, "webhooks"))

    for crash_at in WORKER:
        worker = process("worker", variables, folder, crash_at)
        is_dead = partial(_is_dead, worker)
        worker.process.start()
        try:
            await until(is_dead if crash_at else is_done)
        finally:
            worker.process.stop()


def _is_dead(one: ServiceProcess) -> bool:
    return not one.process.is_running


@pytest.mark.fault(77)
async def test_killed_around_each_commit_every_webhook_has_its_effect_once(
    ports: Ports, variables: dict[str, str], tmp_path: Path
) -> None:
    all_histories = histories(6, 20, seed=77)
    for history in all_histories:
        event = AccountCreated(account_id=history.account_id, plan="free")
        await accounts.open_books(ports, event)
    bodies = [recent(body) for history in all_histories for body in history.bodies]
    Random(77).shuffle(bodies)  # noqa: S311  the same in every run

    async with httpx2.AsyncClient(trust_env=False) as client:
        await send_all(bodies, variables, tmp_path, client)
    await take_over(ports, variables, tmp_path)

    await check(ports, all_histories)


def recent(body: bytes) -> bytes:
    """As it would be if the history had ended just now: the worker drops what is months old."""
    late = datetime.now(UTC) - ENDS_AT

    def shift(found: re.Match[bytes]) -> bytes:
        moment = datetime.fromisoformat(found[0].decode()) + late
        return event_time(moment).encode()

    return re.sub(rb"2026-[0-9T:.-]+Z", shift, body)


async def check(ports: Ports, all_histories: list[History]) -> None:
    settled = [row["state"] for row in await rows(ports, "webhooks")]
    assert len(settled) == sum(len(history.bodies) for history in all_histories)
    assert set(settled) <= {"applied", "older"}
    states = {row["id"]: row["state"] for kind in KINDS for row in await rows(ports, kind)}
    assert states == {
        thing: state for history in all_histories for thing, state in history.states.items()
    }
    events = await told(ports)
    ended = [event.account_id for event in events if isinstance(event, SubscriptionEnded)]
    assert sorted(ended) == sorted(one.account_id for one in all_histories if one.is_over)
    versions = [
        (event.account_id, event.version) for event in events if isinstance(event, PlanChanged)
    ]
    assert len(set(versions)) == len(versions)
