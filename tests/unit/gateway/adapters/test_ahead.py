"""Calls that go ahead, on the desk: any number of gateways and keys, Redis in Python."""

from typing import Final

import msgspec
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from services.gateway.adapters.ahead import LIFE, PARTS, Ahead
from services.gateway.domain import rates
from services.gateway.domain.rates import Dues, Group, RateAsk
from tests.support.ahead_machine import ASK, START, Sites
from tests.support.rate_model import ModelBuckets


def test_never_more_go_on_than_the_limit_whoever_races() -> None:
    run_state_machine_as_test(
        Sites, settings=settings(max_examples=200, stateful_step_count=30, deadline=None)
    )


ALL: Final = 100_000
HISTORIES: Final[dict[str, list[tuple[str, tuple[int, ...]]]]] = {
    "a burst beside a leave": [("ask", (1, 0, ALL)), ("go_ahead", (0, 0, 1_000))],
    "a leave that is over": [
        ("wait", (130,)),
        ("ask", (1, 0, ALL)),
        ("go_ahead", (0, 0, 1_000)),
    ],
    "one more than is kept back": [
        ("go_ahead", (0, 0, 1)),
        ("begin_to_tell", (0,)),
        ("go_ahead", (0, 0, 1)),
        ("answer", (0,)),
        ("ask", (1, 0, ALL)),
        ("go_ahead", (0, 0, 1_000)),
    ],
    "on the rest of a leave while it is told": [
        ("go_ahead", (0, 0, 1)),
        ("begin_to_tell", (0,)),
        ("ask", (1, 0, ALL)),
        ("arrive", (0,)),
        ("ask", (1, 0, ALL)),
        ("go_ahead", (0, 0, 1_000)),
    ],
    "on a leave that goes back with an ask": [
        ("begin_to_ask", (0, 0, 1)),
        ("ask", (1, 0, ALL)),
        ("arrive", (0,)),
        ("ask", (1, 0, ALL)),
        ("go_ahead", (0, 0, 1_000)),
    ],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_nor_in_the_histories_that_are_hard_to_come_by(
    history: list[tuple[str, tuple[int, ...]]],
) -> None:
    sites = Sites()
    sites.begin(of_key=6_400, of_project=6_400)
    sites.come_twice(0, 0)

    for rule_name, numbers in history:
        getattr(sites, rule_name)(*numbers)

    sites.teardown()


def settled(ahead: Ahead, redis: ModelBuckets, ask: RateAsk, calls: int = 1) -> Dues:
    now = redis.now / 1_000_000
    dues = ahead.settle(ask, now, is_asking=calls > 0)
    group = Group(*rates.buckets(ask), calls, dues)
    (taken,) = redis.take([group])
    ahead.renew(ask, taken, rates.grants(group, taken)[0], now)
    return dues


def count_ahead(ahead: Ahead, redis: ModelBuckets, ask: RateAsk) -> int:
    calls = 0
    while ahead.take(ask, redis.now / 1_000_000) is not None:
        calls += 1
    return calls


@pytest.fixture
def redis() -> ModelBuckets:
    return ModelBuckets(START)


def test_who_comes_twice_in_a_moment_goes_ahead_for_one_part_of_what_is_left(
    redis: ModelBuckets,
) -> None:
    ahead = Ahead()

    settled(ahead, redis, ASK)
    assert count_ahead(ahead, redis, ASK) == 0
    settled(ahead, redis, ASK)

    assert count_ahead(ahead, redis, ASK) == (6_400 - 2) // PARTS
    assert ahead.is_urgent


@pytest.mark.parametrize("limit", [1, 63, 65])
def test_a_small_limit_is_asked_for_call_by_call(redis: ModelBuckets, limit: int) -> None:
    ahead = Ahead()
    ask = msgspec.structs.replace(ASK, per_minute_key=limit)
    for _ in range(3):
        settled(ahead, redis, ask)

    assert count_ahead(ahead, redis, ask) == 0


def test_what_was_learnt_a_moment_ago_is_no_ground(redis: ModelBuckets) -> None:
    ahead = Ahead()
    settled(ahead, redis, ASK)
    settled(ahead, redis, ASK)

    redis.now += int(2 * LIFE * 1_000_000)

    assert count_ahead(ahead, redis, ASK) == 0
    assert settled(ahead, redis, ASK).parts == 0


def test_what_is_told_falls_with_each_call_that_goes_ahead_and_agrees_with_redis(
    redis: ModelBuckets,
) -> None:
    ahead = Ahead()
    settled(ahead, redis, ASK)
    settled(ahead, redis, ASK)

    told = [ahead.take(ASK, redis.now / 1_000_000) for _ in range(5)]
    group = Group(*rates.buckets(ASK), 0, ahead.settle(ASK, 0.0, is_asking=False))
    of_redis, _ = rates.grants(group, redis.take([group])[0])

    assert [grant.remaining for grant in told if grant] == [6_397, 6_396, 6_395, 6_394, 6_393]
    assert told[-1] == of_redis


def test_the_leave_is_renewed_while_it_is_in_use(redis: ModelBuckets) -> None:
    ahead = Ahead()
    settled(ahead, redis, ASK)
    settled(ahead, redis, ASK)
    assert ahead.take(ASK, redis.now / 1_000_000)

    dues = ahead.settle(ASK, redis.now / 1_000_000, is_asking=False)
    assert ahead.take(ASK, redis.now / 1_000_000)  # nobody waits for the answer
    group = Group(*rates.buckets(ASK), 0, dues)
    (taken,) = redis.take([group])
    ahead.renew(ASK, taken, rates.grants(group, taken)[0], redis.now / 1_000_000)

    assert dues.owed == 1
    assert ahead.debtors(10) == [ASK]
    assert count_ahead(ahead, redis, ASK) == taken.leave.calls - 1


def test_another_limit_begins_without_a_leave_and_the_old_one_still_owes(
    redis: ModelBuckets,
) -> None:
    ahead = Ahead()
    settled(ahead, redis, ASK)
    settled(ahead, redis, ASK)
    assert ahead.take(ASK, redis.now / 1_000_000)
    larger = msgspec.structs.replace(ASK, per_minute_key=60_000, per_minute_project=60_000)

    assert ahead.take(larger, redis.now / 1_000_000) is None
    assert ahead.debtors(10) == [ASK]


def test_so_many_are_known_and_none_that_owes_is_forgotten(redis: ModelBuckets) -> None:
    ahead = Ahead(limit=2)
    others = [msgspec.structs.replace(ASK, project_id=f"prj_{number}") for number in range(3)]
    settled(ahead, redis, ASK)
    settled(ahead, redis, ASK)
    assert ahead.take(ASK, redis.now / 1_000_000)

    for _ in range(2):
        for other in others:
            settled(ahead, redis, other)

    assert ahead.settle(ASK, redis.now / 1_000_000, is_asking=False).owed == 1
    settled(ahead, redis, others[0])
    settled(ahead, redis, others[1])
    settled(ahead, redis, ASK)
    assert count_ahead(ahead, redis, ASK) == 0
