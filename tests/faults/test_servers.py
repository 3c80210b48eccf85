"""PostgreSQL and Redis run and misbehave: stuck, read-only, full, misconfigured."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import pytest

from tests.faults.conftest import Judge
from tests.support.checker_sources import count
from tests.support.client import CarefulClient
from tests.support.load import Load, Wishes
from tests.support.orders import (
    BOTH,
    FIRST,
    calls_since,
    is_ready,
    orders,
    slowest,
    submit,
    submit_all,
    verdicts,
)
from tests.support.server_faults import (
    configured,
    frozen_backends,
    terminate_sessions,
)
from tests.support.stack import System
from tests.support.waiting import until

SEED: Final = 90_001
OPEN: Final = "SELECT count(*) FROM live"
UNAVAILABLE: Final = {(503, "unavailable")}
SOON: Final = timedelta(seconds=5)
ON_POSTGRESQL: Final = (
    "gateway", "executor", "dispatcher", "accounts", "accounts-worker", "billing-worker",
)  # fmt: skip


@asynccontextmanager
async def load(client: CarefulClient) -> AsyncIterator[None]:
    """Steady orders of every kind while the block runs."""
    stop = asyncio.Event()
    wishes = Wishes(seed=SEED, rate=60, gateways=2)
    running = asyncio.create_task(Load(client, wishes).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


@pytest.mark.slow
@pytest.mark.fault(36)
async def test_a_gateway_whose_sessions_stand_still_opens_others(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    await submit_all(client, orders(20))

    with frozen_backends(system, "gateway") as frozen:
        hit = await submit(client, orders(20, FIRST))

        async def is_back() -> bool:
            [sent] = await submit(client, orders(1, FIRST))
            return sent.is_accepted

        await until(is_back, 20)

    assert frozen > 0
    assert verdicts(hit) == UNAVAILABLE
    assert slowest(hit) < SOON
    await judge(since)


@pytest.mark.fault(37)
async def test_when_every_connection_is_stuck_callers_are_refused_soon(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since, url = datetime.now(UTC), system.database_url("requests")
    await submit_all(client, orders(20))

    async with locked(url, "LOCK TABLE requests, live IN ACCESS EXCLUSIVE MODE"):
        refused = await submit(client, orders(200))
        refused += await submit(client, orders(200))

    assert verdicts(refused) == UNAVAILABLE
    assert slowest(refused) < SOON
    await until(lambda: is_ready(system, "gateway"))
    await submit_all(client, orders(40))
    await judge(since)


@asynccontextmanager
async def locked(url: str, statement: str) -> AsyncIterator[None]:
    """A session that has locked something and does nothing."""
    session = await asyncpg.connect(url)
    try:
        await session.execute("BEGIN")
        await session.execute(statement)
        yield
        await session.execute("ROLLBACK")
    finally:
        await session.close()


@pytest.mark.slow
@pytest.mark.fault(39)
async def test_a_row_that_is_locked_for_longer_than_a_lease_makes_no_other_call_twice(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since, url = datetime.now(UTC), system.database_url("requests")
    sent = await submit_all(client, orders(60, model="sim-slow-25000ms"))
    await until(lambda: calls_since(system, since) == len(sent))

    async with locked(url, "SELECT FROM live LIMIT 1 FOR UPDATE"):

        async def are_others_done() -> bool:
            return await count(url, OPEN) == 1

        await until(are_others_done, 60)
        assert calls_since(system, since) == len(sent)

    await judge(since)


@pytest.mark.fault(41)
async def test_terminating_sessions_all_the_time_loses_and_doubles_nothing(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    async with load(client):
        for _ in range(10):
            await terminate_sessions(system.stack.postgresql)
            await asyncio.sleep(0.2)

    await judge(since)


@pytest.mark.fault(42)
async def test_a_read_only_server_is_a_503_and_is_left_as_soon_as_it_writes_again(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    await submit_all(client, orders(40, model="sim-slow-1000ms"))

    async with configured(system.stack.postgresql, "default_transaction_read_only", "on"):
        refused = await submit(client, orders(40))

    async def is_back() -> bool:
        return all(one.is_accepted for one in await submit(client, orders(2)))

    await until(is_back, 20)
    assert verdicts(refused) == UNAVAILABLE
    await judge(since)


@pytest.mark.fault(43)
@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("fsync", ("executor", "dispatcher")),
        pytest.param("full_page_writes", ON_POSTGRESQL, marks=pytest.mark.slow),
    ],
    ids=["fsync", "full_page_writes"],
)
async def test_no_process_starts_on_a_server_that_does_not_wait_for_its_disk(
    setting: str, names: Sequence[str], system: System
) -> None:
    async with configured(system.stack.postgresql, setting, "off"):
        for name in names:
            await system.begin(name)
        for name in names:
            await until(lambda name=name: system.exit_code(name) is not None)  # type: ignore[misc]

        assert {name: system.exit_code(name) for name in names} == dict.fromkeys(names, 1)
        for name in names:
            assert f'"reason": "{setting} = off"' in log_of(system, name)


def log_of(system: System, name: str) -> str:
    """All that a process has written."""
    return (system.stack.site.logs / f"{name}.log").read_text()


@pytest.mark.fault(49)
@pytest.mark.parametrize("how", ["out-of-memory", "read-only"])
async def test_a_redis_that_takes_no_writes_is_done_without(
    how: str, system: System, client: CarefulClient, judge: Judge
) -> None:
    since, redis = datetime.now(UTC), system.stack.redis
    if how == "out-of-memory":
        redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis.command("CONFIG", "SET", "maxmemory", "1")
    else:
        redis.command("REPLICAOF", "127.0.0.1", "1")
    try:
        waited = await submit_all(client, orders(40, is_waiting=True, model="sim-slow-300ms"))
        sent = await submit_all(client, orders(100, BOTH))
    finally:
        redis.command("CONFIG", "SET", "maxmemory", "256mb")
        redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        redis.command("REPLICAOF", "NO", "ONE")

    assert {one.state for one in waited} == {"completed"}
    assert slowest([*waited, *sent]) < SOON
    await judge(since)
