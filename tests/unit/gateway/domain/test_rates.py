from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.waits import parse_reset
from services.gateway.domain import rates
from services.gateway.domain.rates import Bucket, Group, RateAsk, Taken

ASK = RateAsk(
    key_id="key_a",
    project_id="prj_a",
    mode="live",
    kind="submit",
    per_minute_key=60,
    per_minute_project=60,
)
SECOND = 1_000_000
LIMITS = st.integers(1, 100_000)


def pair(key: int, project: int, wanted: int = 1) -> Group:
    return Group(Bucket("p.k", key), Bucket("p", project), wanted)


def test_a_full_bucket_has_a_minutes_tokens_and_an_indebted_one_has_none() -> None:
    assert rates.room(0, 60) == 60
    assert rates.room(rates.WINDOW_MICROSECONDS, 60) == 0
    assert rates.room(59 * SECOND, 60) == 1
    assert rates.room(59 * SECOND + 1, 60) == 0


@given(LIMITS)
def test_a_bucket_gives_exactly_its_limit_at_once(limit: int) -> None:
    taken = rates.take(pair(limit, limit, wanted=limit + 1), 0, 0)

    assert taken.granted == limit
    assert rates.room(taken.key_debt, limit) == 0


@given(LIMITS)
def test_and_no_more_than_its_limit_in_the_minute_after(limit: int) -> None:
    empty = rates.take(pair(limit, limit, wanted=limit), 0, 0).key_debt

    refilled = rates.room(max(empty - rates.WINDOW_MICROSECONDS, 0), limit)

    assert refilled == limit


@given(LIMITS, LIMITS, st.integers(1, 300), *[st.integers(0, rates.WINDOW_MICROSECONDS)] * 2)
def test_a_group_gets_what_the_tighter_bucket_has_and_the_refused_take_nothing(
    key: int, project: int, wanted: int, key_debt: int, project_debt: int
) -> None:
    taken = rates.take(pair(key, project, wanted), key_debt, project_debt)

    room = min(rates.room(key_debt, key), rates.room(project_debt, project))
    assert taken.granted == min(wanted, room)
    assert taken.key_debt == key_debt + taken.granted * rates.interval(key)
    assert taken.project_debt == project_debt + taken.granted * rates.interval(project)


@given(LIMITS, LIMITS, *[st.integers(0, rates.WINDOW_MICROSECONDS)] * 2)
def test_after_the_wait_that_is_told_there_is_a_token_and_not_before(
    key: int, project: int, key_debt: int, project_debt: int
) -> None:
    group = pair(key, project)
    _, refused = rates.grants(group, Taken(0, key_debt, project_debt))
    wait = refused.retry_after // timedelta(microseconds=1)

    def granted_after(microseconds: int) -> int:
        debts = (max(debt - microseconds, 0) for debt in (key_debt, project_debt))
        return rates.take(group, *debts).granted

    assert granted_after(wait) == 1
    assert wait == 0 or granted_after(wait - 1) == 0


def test_the_tighter_bucket_is_the_one_that_is_told() -> None:
    granted, _ = rates.grants(pair(100, 10), Taken(1, 1 * SECOND, 30 * SECOND))

    assert (granted.limit, granted.remaining) == (10, 5)
    assert granted.reset == timedelta(seconds=30)
    assert granted.retry_after == timedelta()


def test_a_limit_of_nothing_lets_nobody_through() -> None:
    taken = rates.take(pair(0, 10), 0, 0)
    _, refused = rates.grants(pair(0, 10), taken)

    assert (taken.granted, refused.limit, refused.remaining) == (0, 0, 0)
    assert refused.retry_after == rates.WINDOW


def test_reads_have_their_own_buckets_ten_times_as_large() -> None:
    key, project = rates.buckets(ASK)
    read_key, read_project = rates.buckets(msgspec.structs.replace(ASK, kind="read"))

    assert (read_key.limit, read_project.limit) == (10 * key.limit, 10 * project.limit)
    assert len({key.name, project.name, read_key.name, read_project.name}) == 4


def test_test_calls_leave_the_live_ones_alone() -> None:
    test = msgspec.structs.replace(ASK, mode="test")

    assert not set(rates.buckets(ASK)) & set(rates.buckets(test))


def test_equal_asks_of_one_instant_go_together() -> None:
    other = msgspec.structs.replace(ASK, key_id="key_b")

    assert rates.together([ASK, other, ASK]) == {ASK: [0, 2], other: [1]}


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(microseconds=1), "1ms"),
        (timedelta(milliseconds=120), "120ms"),
        (timedelta(milliseconds=999, microseconds=1), "1s"),
        (timedelta(seconds=1), "1s"),
        (timedelta(seconds=8, milliseconds=640), "8.64s"),
        (timedelta(seconds=59, milliseconds=999), "59.999s"),
        (timedelta(minutes=1), "1m0s"),
        (timedelta(minutes=6), "6m0s"),
        (timedelta(hours=1), "1h0m0s"),
        (timedelta(hours=25, seconds=1), "25h0m1s"),
    ],
)
def test_durations_look_as_openai_writes_them(duration: timedelta, text: str) -> None:
    assert rates.write_duration(duration) == text


@given(st.integers(0, 7 * 86_400_000))
def test_what_we_write_our_own_executor_reads(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)

    assert parse_reset(rates.write_duration(duration)) == duration


def test_the_headers_are_those_that_clients_of_openai_know() -> None:
    granted, _ = rates.grants(pair(60, 60), Taken(1, 1 * SECOND, 1 * SECOND))

    assert rates.headers(granted) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
    }
