"""When to stop calling a broker that does not answer."""

from libs.common.broker.rabbitmq.breaker import Breaker


def test_it_opens_after_three_failures_within_five_seconds() -> None:
    breaker = Breaker()

    assert [breaker.failed(now) for now in (0, 1, 4.9)] == [False, False, True]
    assert not breaker.may_pass(5)


def test_failures_that_are_far_apart_do_not_open_it() -> None:
    breaker = Breaker()

    assert not any(breaker.failed(now) for now in (0, 3, 6, 9, 12))
    assert breaker.may_pass(12)


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker()
    breaker.failed(0)
    breaker.failed(1)
    breaker.succeeded()

    assert not breaker.failed(2)
    assert breaker.may_pass(2)


def test_after_its_rest_it_lets_one_try_through_at_a_time() -> None:
    breaker = opened_at(10)

    assert not breaker.may_pass(14.9)
    assert breaker.may_pass(15)
    assert not breaker.may_pass(15.1)


def test_a_failed_try_lets_it_rest_again() -> None:
    breaker = opened_at(10)
    breaker.may_pass(20)

    assert breaker.failed(21)
    assert not breaker.may_pass(24.9)
    assert breaker.may_pass(26)


def test_a_try_that_works_closes_it() -> None:
    breaker = opened_at(10)
    breaker.may_pass(20)
    breaker.succeeded()

    assert all(breaker.may_pass(20 + n) for n in range(3))


def opened_at(now: float) -> Breaker:
    breaker = Breaker()
    for _ in range(3):
        breaker.failed(now)
    return breaker
