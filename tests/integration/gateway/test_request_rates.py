"""Request rates over a real Redis, which is frozen, flushed, filled up and made a replica here."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from itertools import count

import msgspec
import pytest
from prometheus_client import REGISTRY

from deploy.local.servers.redis import Redis
from services.gateway.adapters.buckets import LocalBuckets, RedisBuckets
from services.gateway.adapters.limits import FAILURES, REST, RedisRates
from services.gateway.domain.rates import Bucket, Group, RateAsk, RateGrant
from tests.support import servers
from tests.support.rate_clients import Time, client
from tests.support.waiting import until

ASK = RateAsk(
    key_id="key_a",
    project_id="prj_a",
    mode="live",
    kind="submit",
    per_minute_key=100,
    per_minute_project=100,
)
PATIENCE = timedelta(seconds=5)  # nothing here is about how fast this machine is
_numbers = count()


def fresh(**changes: object) -> RateAsk:
    """An ask of a project that nobody has seen."""
    return msgspec.structs.replace(ASK, project_id=f"prj_{next(_numbers)}", **changes)


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    """One of its own: others keep theirs."""
    with servers.running(Redis) as own:
        yield own


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
async def rates(server: Redis, clock: Time) -> AsyncIterator[RedisRates]:
    async with client(server) as connected:
        rates = RedisRates(connected, budget=PATIENCE, monotonic=clock)
        yield rates
        await rates.close()


async def ask_all(rates: RedisRates, *asks: RateAsk) -> list[RateGrant]:
    return list(await asyncio.gather(*(rates.take(ask) for ask in asks)))


def is_local() -> bool:
    return REGISTRY.get_sample_value("reqrun_gateway_rates_local") == 1


def granted(grants: list[RateGrant]) -> int:
    return sum(grant.is_granted for grant in grants)


async def test_of_callers_at_once_exactly_the_limit_goes_on(rates: RedisRates) -> None:
    grants = await ask_all(rates, *[fresh()] * 300)

    assert granted(grants) == 100
    refused = grants[-1]
    assert (refused.limit, refused.remaining) == (100, 0)
    assert timedelta() < refused.retry_after <= timedelta(seconds=0.6)
    assert timedelta(seconds=59) < refused.reset <= timedelta(seconds=60)


async def test_two_gateways_share_one_limit(rates: RedisRates, server: Redis) -> None:
    ask = fresh()
    async with client(server) as connected:
        other = RedisRates(connected, budget=PATIENCE)
        grants = await asyncio.gather(ask_all(rates, *[ask] * 80), ask_all(other, *[ask] * 80))

    assert sum(map(granted, grants)) == 100


async def test_a_projects_keys_share_its_bucket_and_one_cannot_take_anothers(
    rates: RedisRates,
) -> None:
    first = fresh(per_minute_key=10, per_minute_project=15)
    second = msgspec.structs.replace(first, key_id="key_b")

    assert granted(await ask_all(rates, *[first] * 30)) == 10
    # The twenty refusals took nothing from the project.
    assert granted(await ask_all(rates, *[second] * 30)) == 5


@pytest.mark.alone
async def test_reads_and_test_calls_go_on_when_the_submissions_are_spent(
    rates: RedisRates,
) -> None:
    ask = fresh()
    read = msgspec.structs.replace(ask, kind="read")
    await ask_all(rates, *[ask] * 101)

    assert granted(await ask_all(rates, *[read] * 1001)) == 1000
    assert (await rates.take(msgspec.structs.replace(ask, mode="test"))).is_granted


async def test_a_bucket_that_is_full_again_is_not_kept(rates: RedisRates, server: Redis) -> None:
    ask = fresh(per_minute_key=60_000, per_minute_project=60_000)

    await rates.take(ask)

    async with client(server) as look:

        async def is_gone() -> bool:
            return not await look.keys(f"reqrun.rate.{ask.project_id}.*")

        await until(is_gone)


async def test_the_script_comes_back_after_it_was_flushed(rates: RedisRates, server: Redis) -> None:
    ask = fresh()
    await rates.take(ask)
    server.command("SCRIPT", "FLUSH")

    assert (await rates.take(ask)).remaining == 98
    assert not is_local()


async def test_redis_and_this_process_count_alike(server: Redis) -> None:
    """The same limits in Lua and in Python: within an instant, groups of all sizes."""
    name = f"alike.{next(_numbers)}"
    project = Bucket(name, 70)
    groups = [
        Group(Bucket(f"{name}.{key}", limit), project, wanted)
        for key, limit in enumerate((1, 7, 0, 60, 6_999))
        for wanted in (1, 3, 5, 64)
    ]
    async with client(server) as connected:
        shared = await RedisBuckets(connected).take(groups)
        local = LocalBuckets(Time()).take(groups)

    assert shared == local


async def test_a_redis_clock_that_jumped_back_leaves_no_debt_above_a_full_one(
    rates: RedisRates, server: Redis
) -> None:
    ask = fresh()
    async with client(server) as other:
        await other.set(f"reqrun.rate.{ask.project_id}.live.submit", str(10**15 * 9))

    assert (await rates.take(ask)).retry_after <= timedelta(seconds=0.6)


async def is_shared(rates: RedisRates, clock: Time) -> bool:
    clock.now += REST.total_seconds()
    await rates.take(fresh())
    return not is_local()


@pytest.mark.parametrize(
    ("harm", "heal"),
    [
        (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "256mb"]),
        (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
        (["SET", "unrelated", "1"], ["DEL", "unrelated"]),
    ],
    ids=["full", "read-only", "dead"],
)
async def test_without_a_redis_that_counts_this_process_does(
    rates: RedisRates, server: Redis, clock: Time, harm: list[str], heal: list[str]
) -> None:
    ask = fresh()
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.command(*harm)
    if harm[0] == "SET":
        server.kill()

    for _ in range(FAILURES - 1):
        assert (await rates.take(fresh())).is_granted
    assert not is_local()
    grants = await ask_all(rates, *[ask] * 150)

    assert granted(grants) == 100
    assert is_local()
    server.start()
    server.command(*heal)
    await until(lambda: is_shared(rates, clock))


@pytest.mark.alone
async def test_a_frozen_redis_costs_its_callers_the_budget_once(server: Redis) -> None:
    budget = timedelta(seconds=2)  # far longer than 300 answers without Redis take anywhere
    async with client(server, budget.total_seconds()) as connected:
        clock = Time()
        rates = RedisRates(connected, budget=budget, monotonic=lambda: time.monotonic() + clock.now)
        await until(lambda: is_shared(rates, clock))
        server.freeze()
        try:
            started = time.monotonic()
            first = await ask_all(rates, *[fresh()] * 300)
            spent = time.monotonic() - started
            started = time.monotonic()
            second = await ask_all(rates, *[fresh()] * 300)
            again = time.monotonic() - started
        finally:
            server.thaw()

        assert (granted(first), granted(second)) == (100, 100)
        assert 1 <= spent < 2 * budget.total_seconds()
        assert again < budget.total_seconds() / 2
        # No late answer of the frozen time is taken for the answer to a later call.
        await until(lambda: is_shared(rates, clock))
        assert granted(await ask_all(rates, *[fresh()] * 101)) == 100
        await rates.close()


async def test_while_counting_alone_one_probe_asks_for_everybody(
    rates: RedisRates, server: Redis, clock: Time
) -> None:
    server.kill()
    for _ in range(FAILURES):
        await rates.take(fresh())
    server.start()

    before = int(server_stat(server, "total_commands_processed"))
    await ask_all(rates, *[fresh()] * 50)
    assert int(server_stat(server, "total_commands_processed")) - before <= 4  # our own looks

    await until(lambda: is_shared(rates, clock))


def server_stat(server: Redis, name: str) -> str:
    """One number of INFO stats, which `command` cannot read: its answer has many lines."""
    script = (
        "local info = redis.call('INFO', 'stats') "
        f"return {{ok = string.match(info, '{name}:(%d+)')}}"
    )
    return server.command("EVAL", script, "0").strip().removeprefix("+")
