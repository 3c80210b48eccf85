from datetime import timedelta

import pytest

from services.gateway.use_cases.addresses import Addresses

HERE, THERE = "192.0.2.7", "192.0.2.8"


class Time:
    """Seconds, in the test's hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def addresses(time: Time) -> Addresses:
    return Addresses(30, limit=3, monotonic=time)


def fail(addresses: Addresses, address: str, times: int) -> None:
    for _ in range(times):
        addresses.note_failure(address)


def test_a_minutes_failures_may_come_at_once_and_then_it_is_over(addresses: Addresses) -> None:
    fail(addresses, HERE, 29)
    assert addresses.is_barred(HERE) is None

    fail(addresses, HERE, 1)
    assert addresses.is_barred(HERE) == timedelta(seconds=2)


def test_others_are_not_barred(addresses: Addresses) -> None:
    fail(addresses, HERE, 30)

    assert addresses.is_barred(THERE) is None


def test_the_bar_lifts_for_one_try_at_a_time(addresses: Addresses, time: Time) -> None:
    fail(addresses, HERE, 30)
    time.now += 2

    assert addresses.is_barred(HERE) is None
    fail(addresses, HERE, 1)
    assert addresses.is_barred(HERE) == timedelta(seconds=2)


def test_who_fails_on_while_barred_is_not_barred_for_ever(addresses: Addresses, time: Time) -> None:
    fail(addresses, HERE, 10_000)

    assert addresses.is_barred(HERE) == timedelta(seconds=2)
    time.now += 60
    fail(addresses, HERE, 29)
    assert addresses.is_barred(HERE) is None


def test_a_whole_ipv6_network_counts_as_one(addresses: Addresses) -> None:
    for number in range(30):
        addresses.note_failure(f"2a00:1:2:3::{number:x}")

    assert addresses.is_barred("2a00:1:2:3:ffff::") is not None
    assert addresses.is_barred("2a00:1:2:4::") is None


def test_ipv4_in_ipv6_is_the_same_address(addresses: Addresses) -> None:
    fail(addresses, f"::ffff:{HERE}", 30)

    assert addresses.is_barred(HERE) is not None


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(addresses: Addresses) -> None:
    fail(addresses, HERE, 30)
    for number in range(3):
        addresses.note_failure(f"198.51.100.{number}")
    assert addresses.is_barred(HERE) is None

    fail(addresses, HERE, 30)
    for number in range(2):
        addresses.note_failure(f"198.51.100.{number}")
    assert addresses.is_barred(HERE) is not None
