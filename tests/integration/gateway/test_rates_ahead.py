"""Calls that go ahead of a real Redis, which is told afterwards (decision 0031)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import msgspec
import pytest
import redis.asyncio
from prometheus_client import REGISTRY

from deploy.local.servers.redis import Redis
from services.gateway.adapters.ahead import PARTS
from services.gateway.adapters.buckets import RedisBuckets
from services.gateway.adapters.limits import FAILURES, IS_LOCAL, RedisRates
from services.gateway.domain.rates import (
    Bucket,
    Dues,
    Group,
    Leave,
    RateAsk,
    RateGrant,
    Taken,
    buckets,
    grants,
    interval,
)
from tests.support import servers
from tests.support.rate_clients import Time, client
from tests.support.rate_model import SLOT, ModelBuckets
from tests.support.waiting import until

LIMIT = 6_400
ASK = RateAsk(
    key_id="key_a",
    project_id="prj_a",
    mode="live",
    kind="submit",
    per_minute_key=LIMIT,
    per_minute_project=LIMIT,
)
PATIENCE = timedelta(seconds=5)  # nothing here is about how fast this machine is
_numbers = count()

Played = TypeVar("Played")
Take = Callable[[Sequence[Group]], Awaitable[list[Taken]]]


def fresh(**changes: object) -> RateAsk:
    """An ask of a project that nobody has seen."""
    return msgspec.structs.replace(ASK, project_id=f"prj_ahead_{next(_numbers)}", **changes)


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    """One of its own: others keep theirs."""
    with servers.running(Redis) as own:
        yield own


@pytest.fixture
async def look(server: Redis) -> AsyncIterator[redis.asyncio.Redis]:
    async with client(server) as connected:
        yield connected


@pytest.fixture
async def rates(look: redis.asyncio.Redis) -> AsyncIterator[RedisRates]:
    rates = RedisRates(look, budget=PATIENCE, monotonic=Time())
    yield rates
    await rates.close()


def take_at_once(rates: RedisRates, ask: RateAsk) -> RateGrant | None:
    """What a call is told that does not wait; None where it would: then it does not call."""
    taking: Any = rates.take(ask)
    try:
        waited_for = taking.send(None)
    except StopIteration as told:
        grant: RateGrant = told.value
        return grant
    waited_for.cancel()
    taking.close()
    return None


async def learn(rates: RedisRates, look: redis.asyncio.Redis, ask: RateAsk) -> RateGrant:
    """Get a leave, of a bucket that will not be full again before the test ends."""
    await RedisBuckets(look).take([Group(*buckets(ask), LIMIT // 2)])
    await rates.take(ask)
    return await rates.take(ask)


async def spent(look: redis.asyncio.Redis, ask: RateAsk) -> int:
    """Tokens that were ever taken, and a constant: what is kept changes with nothing else."""
    kept = await look.get(f"reqrun.rate.{buckets(ask)[1].name}")
    return round(int(kept or 0) / interval(LIMIT))


def is_local() -> bool:
    return REGISTRY.get_sample_value("reqrun_gateway_rates_local") == 1


async def in_one_slot(look: redis.asyncio.Redis, play: Callable[[], Awaitable[Played]]) -> Played:
    """What `play` came to within one slot of Redis's time; it is played again until it did."""
    while True:
        before = await slot(look)
        played = await play()
        if await slot(look) == before:
            return played


async def slot(look: redis.asyncio.Redis) -> int:
    seconds, microseconds = await look.time()
    return int((seconds * 1_000_000 + microseconds) // SLOT)


def moves(pair: tuple[Bucket, Bucket], lent: Leave) -> list[Group]:
    """What two gateways ask for one after the other; `lent`: what the first was lent."""
    return [
        Group(*pair, 128),  # the second bursts: what is lent is not had
        Group(*pair, 0, Dues(1, lent, parts=4)),  # the first tells, and may go on meanwhile
        Group(*pair, 1),  # so the second is still refused
        Group(*pair, 0, Dues(20, parts=4)),  # told too late, and counted all the same
    ]


async def test_redis_counts_what_is_out_on_leave_as_the_model_does(
    look: redis.asyncio.Redis,
) -> None:
    model = ModelBuckets(SLOT * 9)

    async def play(take: Take, project: str) -> list[tuple[int, int]]:
        pair = (Bucket(f"{project}.key", 128), Bucket(project, 200))
        (first,) = await take([Group(*pair, 1, Dues(parts=4))])
        answers = [first, *[(await take([group]))[0] for group in moves(pair, first.leave)]]
        return [(one.granted, one.leave.calls) for one in answers]

    async def of_model(groups: Sequence[Group]) -> list[Taken]:
        return model.take(groups)

    of_redis = await in_one_slot(
        look, lambda: play(RedisBuckets(look).take, f"prj_slot_{next(_numbers)}")
    )

    assert of_redis == await play(of_model, "prj_model")
    assert of_redis == [(1, 31), (128 - 1 - 31, 0), (0, 30), (0, 0), (0, 0)]


@pytest.mark.parametrize("parts", [0, 1, 4, 64])
async def test_within_an_instant_redis_and_the_model_tell_the_same(
    look: redis.asyncio.Redis, parts: int
) -> None:
    project = Bucket(f"prj_instant_{next(_numbers)}", 700)
    groups = [
        Group(Bucket(f"{project.name}.{key}", limit), project, wanted, Dues(owed, parts=parts))
        for key, limit in enumerate((1, 7, 60, 6_999))
        for wanted, owed in ((0, 0), (3, 0), (0, 9), (5, 64), (500, 0))
    ]

    of_redis = await RedisBuckets(look).take(groups)
    of_model = ModelBuckets(SLOT * 9).take(groups)

    assert [without_slot(one) for one in of_redis] == [without_slot(one) for one in of_model]


def without_slot(taken: Taken) -> tuple[int, int, int, int]:
    return taken.granted, taken.key_debt, taken.project_debt, taken.leave.calls


async def test_who_is_refused_for_what_is_out_is_not_told_to_come_back_at_once(
    look: redis.asyncio.Redis,
) -> None:
    pair = buckets(fresh())
    (_, refused) = await RedisBuckets(look).take(
        [Group(*pair, 1, Dues(parts=2)), Group(*pair, LIMIT)]
    )

    told = grants(Group(*pair, LIMIT), refused)[1]

    assert refused.granted < LIMIT - 1
    assert told.remaining == 0
    assert told.retry_after > timedelta()


async def test_a_leave_that_nobody_uses_is_over_by_itself(look: redis.asyncio.Redis) -> None:
    pair = (Bucket("prj_unused.key", 10), Bucket("prj_unused", 10))
    await RedisBuckets(look).take([Group(*pair, 0, Dues(parts=1))])

    async def is_all_there() -> bool:
        (taken,) = await RedisBuckets(look).take([Group(*pair, 1)])
        return taken.granted == 1

    await until(is_all_there)


async def test_with_plenty_left_a_call_goes_ahead_without_waiting(
    rates: RedisRates, look: redis.asyncio.Redis
) -> None:
    ask = fresh()
    before = await learn(rates, look, ask)

    told = [take_at_once(rates, ask) for _ in range(10)]

    assert [grant.remaining for grant in told if grant] == [
        before.remaining - number for number in range(1, 11)
    ]
    assert all(grant.is_granted and grant.reset > before.reset for grant in told if grant)


async def test_redis_is_told_of_each_once_and_leave_follows_leave(
    rates: RedisRates, look: redis.asyncio.Redis
) -> None:
    ask, went = fresh(), 0
    await learn(rates, look, ask)
    before = await spent(look, ask)

    async def has_gone_far() -> bool:
        nonlocal went
        while take_at_once(rates, ask) is not None:
            went += 1
        return went > 3 * LIMIT // PARTS

    await until(has_gone_far)
    await rates.close()

    assert await spent(look, ask) == before + went


async def test_redis_is_told_though_nobody_calls_again(
    rates: RedisRates, look: redis.asyncio.Redis
) -> None:
    ask = fresh()
    await learn(rates, look, ask)
    before = await spent(look, ask)
    assert take_at_once(rates, ask)

    async def is_told() -> bool:
        return await spent(look, ask) == before + 1

    await until(is_told)


async def test_who_closes_tells_what_it_owes(look: redis.asyncio.Redis) -> None:
    ask, rates = fresh(), RedisRates(look, budget=PATIENCE, monotonic=Time())
    await learn(rates, look, ask)
    before = await spent(look, ask)
    assert take_at_once(rates, ask)

    await rates.close()

    assert await spent(look, ask) == before + 1


async def test_a_frozen_redis_costs_nothing_on_leave_and_what_is_not_told_counts_as_a_failure(
    server: Redis,
) -> None:
    ask = fresh()
    async with client(server) as connected, client(server) as look:
        rates = RedisRates(connected, budget=timedelta(seconds=1), monotonic=Time())
        await learn(rates, look, ask)
        server.freeze()
        try:
            assert take_at_once(rates, ask)
            await until(lambda: take_at_once(rates, ask) is None)
            for _ in range(FAILURES - 2):
                await rates.take(fresh())
            assert not is_local()
            await rates.take(fresh())
            assert is_local()
        finally:
            server.thaw()
        await rates.close()
    IS_LOCAL.set(0)


async def test_what_is_owed_when_redis_goes_away_is_charged_where_the_next_are_counted(
    server: Redis,
) -> None:
    ask = fresh()
    async with client(server) as connected:
        rates = RedisRates(connected, budget=PATIENCE, monotonic=Time())
        await learn(rates, connected, ask)
        server.kill()
        try:
            assert all(take_at_once(rates, ask) for _ in range(10))
            for _ in range(FAILURES):
                await rates.take(fresh())
            assert is_local()
            assert (await rates.take(ask)).remaining == LIMIT - 10 - 1
        finally:
            server.start()
        await rates.close()
    IS_LOCAL.set(0)
