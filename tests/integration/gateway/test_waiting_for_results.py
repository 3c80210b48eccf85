import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.redis import Redis
from libs.common.contracts.gateway import WAKE_UP_CHANNEL, Ended, encode_wake_up
from libs.common.settings import Secret
from libs.ledger.states import Outcome, State
from services.gateway.settings import Settings
from services.gateway.use_cases.waiting import WAITING
from tests.support import servers
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, ending
from tests.support.waiting import until

RESULT = b'{"object":"chat.completion",  "n": 1.0}'


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    """A Redis of the test's own, to be killed and frozen."""
    with servers.running(Redis) as server:
        yield server


@pytest.fixture
async def gateway(settings: Settings, redis: Redis) -> AsyncIterator[Gateway]:
    own = msgspec.structs.replace(
        settings,
        redis_url=Secret(redis.url),
        wait=timedelta(seconds=20),
        port=free_ports(),
        internal_port=free_ports(),
    )
    async with Gateway.running(own) as running:
        await until(lambda: _hears(redis))
        yield running


def _hears(redis: Redis) -> bool:
    """Whether somebody listens to wake-ups; this publish reaches nobody's request."""
    return _publish(redis, encode_wake_up([Ended("rr_nobody")])) == 1


def _wake(redis: Redis, *ids: str) -> None:
    _publish(redis, encode_wake_up([Ended(one) for one in ids]))


def _publish(redis: Redis, message: bytes) -> int:
    """How many heard it."""
    return int(redis.command("PUBLISH", WAKE_UP_CHANNEL, message).strip().removeprefix(":"))


async def _waits(count: int) -> None:
    await until(lambda: WAITING._value.get() == count)  # noqa: SLF001  # the gauge has no reader


class Caller:
    """A project of its own; `stored` is the one request that it has made."""

    def __init__(self, accounts: AccountsStandIn, ledger: Bench) -> None:
        self.key, self.accounts, self.ledger = accounts.issue(), accounts, ledger
        self._project_id = accounts.of(self.key).project_id

    async def stored(self) -> str:
        ids: list[str] = []

        async def is_there() -> bool:
            find = "SELECT id FROM live WHERE project_id = $1"
            ids.extend(row["id"] for row in await self.ledger.sql.fetch(find, self._project_id))
            return bool(ids)

        await until(is_there)
        return ids[0]


@pytest.fixture
def caller(accounts: AccountsStandIn, ledger: Bench) -> Caller:
    return Caller(accounts, ledger)


async def _complete(caller: Caller, request_id: str) -> None:
    claim = (await caller.ledger.claim(request_id))[0]
    await caller.ledger.finish(caller.accounts.sealed(claim, ending(claim, result=RESULT)))


async def test_a_result_that_comes_in_time_is_the_providers_body_untouched(
    gateway: Gateway, caller: Caller, redis: Redis
) -> None:
    waiting = asyncio.create_task(gateway.accept(caller.key, wait=True))
    request_id = await caller.stored()
    await _complete(caller, request_id)
    _wake(redis, "rr_other", request_id)

    answer = await waiting

    assert (answer.status_code, answer.content) == (200, RESULT)
    assert answer.headers["x-reqrun-request-id"] == request_id
    assert answer.headers["x-reqrun-status"] == "completed"
    assert answer.headers["x-reqrun-attempts"] == "1"
    assert "location" not in answer.headers


@pytest.mark.alone
async def test_a_wake_up_answers_at_once_and_not_at_the_next_look(
    gateway: Gateway, caller: Caller, redis: Redis
) -> None:
    waiting = asyncio.create_task(gateway.accept(caller.key, wait=True))
    request_id = await caller.stored()
    await _complete(caller, request_id)
    started = time.perf_counter()
    _wake(redis, request_id)
    await waiting

    assert time.perf_counter() - started < 1.5


async def test_a_failure_for_good_within_the_wait_is_a_200_that_says_failed(
    gateway: Gateway, caller: Caller, ledger: Bench, redis: Redis
) -> None:
    waiting = asyncio.create_task(gateway.accept(caller.key, wait=True))
    request_id = await caller.stored()
    claim = (await ledger.claim(request_id))[0]
    await ledger.finish(
        ending(
            claim,
            state=State.FAILED,
            outcome=Outcome.PERMANENT,
            error_code="provider_rejected",
            result=None,
        )
    )
    _wake(redis, request_id)

    answer = await waiting

    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert answer.json()["object"] == "chat.completion.async"
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("how", ["body", "prefer"])
async def test_a_wait_that_is_too_short_ends_in_the_asynchronous_shape(
    gateway: Gateway, key: str, how: str
) -> None:
    started = time.perf_counter()
    if how == "body":
        answer = await gateway.accept(key, wait=True, wait_timeout=0.3)
    else:
        gateway.client.headers["prefer"] = "wait=1"
        answer = await gateway.accept(key)

    assert answer.json()["status"] == "queued"
    assert answer.headers["location"].endswith(answer.json()["id"])
    assert 0.3 <= time.perf_counter() - started < 8


async def test_a_lost_wake_up_costs_time_and_no_truth(gateway: Gateway, caller: Caller) -> None:
    waiting = asyncio.create_task(gateway.accept(caller.key, wait=True))
    await _complete(caller, await caller.stored())

    answer = await waiting

    assert answer.content == RESULT


async def test_a_request_can_be_waited_for_at_its_own_address(
    gateway: Gateway, caller: Caller, redis: Redis
) -> None:
    key = caller.key
    path = f"/v1/requests/{(await gateway.accept(key)).json()['id']}"
    waiting = [asyncio.create_task(gateway.get(key, f"{path}?wait=20")) for _ in range(3)]
    await _waits(3)
    request_id = path.rpartition("/")[2]
    await _complete(caller, request_id)
    _wake(redis, request_id)

    answers = await asyncio.gather(*waiting)

    assert {answer.json()["status"] for answer in answers} == {"completed"}
    assert (await gateway.get(key, f"{path}?wait=20")).json()["status"] == "completed"


async def test_while_redis_is_away_results_come_all_the_same(
    gateway: Gateway, caller: Caller, redis: Redis
) -> None:
    redis.kill()
    waiting = asyncio.create_task(gateway.accept(caller.key, wait=True))
    await _complete(caller, await caller.stored())

    assert (await waiting).content == RESULT
    redis.start()
    await until(lambda: _hears(redis))


async def test_a_frozen_redis_is_noticed_and_delays_nobody(
    gateway: Gateway, caller: Caller, key: str, redis: Redis
) -> None:
    redis.freeze()
    try:
        started = time.perf_counter()
        accepted = await gateway.accept(key)
        assert accepted.status_code == 200
        assert time.perf_counter() - started < 5
        waiting = asyncio.create_task(gateway.accept(caller.key, wait=True))
        await _complete(caller, await caller.stored())
        assert (await waiting).content == RESULT
    finally:
        redis.thaw()
    await until(lambda: _hears(redis))


async def test_who_stops_listening_stops_no_work(
    gateway: Gateway, caller: Caller, redis: Redis
) -> None:
    key = caller.key
    waiting = asyncio.create_task(gateway.accept(key, wait=True, wait_timeout=3))
    request_id = await caller.stored()
    waiting.cancel()
    await asyncio.wait([waiting])
    await _complete(caller, request_id)
    _wake(redis, request_id)

    answer = await gateway.get(key, f"/v1/requests/{request_id}")

    assert answer.json()["status"] == "completed"
    await _waits(0)


async def test_a_stop_answers_open_waits_with_the_asynchronous_shape(
    gateway: Gateway, caller: Caller
) -> None:
    waiting = asyncio.create_task(gateway.accept(caller.key, wait=True))
    await caller.stored()
    await _waits(1)
    gateway.stop.set()

    answer = await waiting

    assert answer.json()["status"] == "queued"
    assert not await gateway.is_ready()
