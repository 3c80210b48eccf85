from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.ledger.states import Outcome
from services.executor.domain.failures import ErrorCode, Retry, Verdict
from services.executor.domain.retries import (
    CAP,
    GiveUp,
    History,
    RetryPolicy,
    TryAgain,
    cool_down,
    decide,
)

POLICY = RetryPolicy()
NEW = History()

WAITS = Verdict(
    outcome=Outcome.TRANSIENT,
    retry=Retry.WAITS,
    error_code=ErrorCode.PROVIDER_RATE_LIMITED,
    is_cooldown=True,
)
COUNTED = Verdict(
    outcome=Outcome.TRANSIENT, retry=Retry.COUNTED, error_code=ErrorCode.PROVIDER_UNAVAILABLE
)
CUT = Verdict(
    outcome=Outcome.AMBIGUOUS, retry=Retry.COUNTED, error_code=ErrorCode.PROVIDER_UNAVAILABLE
)
TIMEOUT = Verdict(
    outcome=Outcome.AMBIGUOUS,
    retry=Retry.COUNTED,
    error_code=ErrorCode.PROVIDER_TIMEOUT,
    is_timeout=True,
)
REJECTED = Verdict(outcome=Outcome.PERMANENT, error_code=ErrorCode.PROVIDER_REJECTED)

histories = st.builds(
    History, counted=st.integers(0, 19), timeouts=st.just(0), waited=st.integers(0, 10**9)
)
chances = st.floats(0, 1, exclude_max=True)
asked_waits = st.none() | st.timedeltas(timedelta(0), timedelta(days=7))


def asking(verdict: Verdict, seconds: float) -> Verdict:
    return Verdict(
        outcome=verdict.outcome,
        retry=verdict.retry,
        error_code=verdict.error_code,
        is_cooldown=verdict.is_cooldown,
        asked_wait=timedelta(seconds=seconds),
        asked_by="retry-after",
    )


def again(seconds: float, rule: str) -> TryAgain:
    return TryAgain(timedelta(seconds=seconds), rule)


@pytest.mark.parametrize(
    ("verdict", "history", "chance", "expected"),
    [
        # Waits: anything between nothing and the window, which doubles from half a second.
        (WAITS, NEW, 0.0, again(0, "backoff-waits")),
        (WAITS, NEW, 0.5, again(0.25, "backoff-waits")),
        (WAITS, History(waited=1), 0.5, again(0.5, "backoff-waits")),
        (WAITS, History(waited=4), 0.5, again(4, "backoff-waits")),
        (WAITS, History(waited=10), 0.5, again(150, "backoff-waits")),
        (WAITS, History(waited=10**6), 0.5, again(150, "backoff-waits")),
        # Counted attempts do not lengthen the pauses of waiting ones, nor the other way round.
        (WAITS, History(counted=5), 0.5, again(0.25, "backoff-waits")),
        (COUNTED, History(waited=5), 0.0, again(0.5, "backoff-counted")),
        # Counted: half the window for sure, which trebles from a second.
        (COUNTED, NEW, 0.0, again(0.5, "backoff-counted")),
        (COUNTED, NEW, 0.5, again(0.75, "backoff-counted")),
        (COUNTED, History(counted=1), 0.0, again(1.5, "backoff-counted")),
        (COUNTED, History(counted=4), 0.0, again(40.5, "backoff-counted")),
        (COUNTED, History(counted=6), 0.0, again(150, "backoff-counted")),
        # The provider's wish is the floor, and chance comes on top.
        (asking(WAITS, 30), NEW, 0.0, again(30, "retry-after")),
        (asking(WAITS, 30), NEW, 0.5, again(30.25, "retry-after")),
        (asking(WAITS, 0), NEW, 0.5, again(0.25, "retry-after")),
        (asking(COUNTED, 30), NEW, 0.0, again(30, "retry-after")),
        (asking(COUNTED, 0.1), NEW, 0.0, again(0.5, "backoff-counted")),
    ],
)
def test_the_next_attempt_comes_after_the_pause_of_its_class(
    verdict: Verdict, history: History, chance: float, expected: TryAgain
) -> None:
    assert expected == decide(verdict, history, POLICY, chance)


@pytest.mark.parametrize(
    ("verdict", "history", "policy", "expected"),
    [
        (REJECTED, NEW, POLICY, ErrorCode.PROVIDER_REJECTED),
        (COUNTED, History(counted=6), POLICY, None),
        (COUNTED, History(counted=7), POLICY, ErrorCode.PROVIDER_UNAVAILABLE),
        (COUNTED, NEW, RetryPolicy(max_attempts=1), ErrorCode.PROVIDER_UNAVAILABLE),
        (WAITS, History(counted=7, waited=10**6), RetryPolicy(max_attempts=1), None),
        (TIMEOUT, NEW, POLICY, None),
        (TIMEOUT, History(counted=1, timeouts=1), POLICY, ErrorCode.PROVIDER_TIMEOUT),
        (COUNTED, History(counted=1, timeouts=1), POLICY, None),
        (CUT, NEW, POLICY, None),
        (CUT, NEW, RetryPolicy(on_unknown_outcome="fail"), ErrorCode.PROVIDER_UNAVAILABLE),
        (TIMEOUT, NEW, RetryPolicy(on_unknown_outcome="fail"), ErrorCode.PROVIDER_TIMEOUT),
        (COUNTED, NEW, RetryPolicy(on_unknown_outcome="fail"), None),
        (WAITS, NEW, RetryPolicy(on_unknown_outcome="fail"), None),
    ],
)
def test_a_request_is_given_up_exactly_when_its_budget_says_so(
    verdict: Verdict, history: History, policy: RetryPolicy, expected: ErrorCode | None
) -> None:
    step = decide(verdict, history, policy, 0.0)

    assert expected == (step.error_code if isinstance(step, GiveUp) else None)


def test_a_scale_shortens_our_pauses_and_never_the_provider_s() -> None:
    policy = RetryPolicy(backoff_scale=0.01)

    assert decide(COUNTED, NEW, policy, 0.0) == again(0.005, "backoff-counted")
    assert decide(asking(WAITS, 30), NEW, policy, 0.0) == again(30, "retry-after")


def test_eight_counted_attempts_outlive_an_outage_of_five_minutes() -> None:
    steps = [decide(COUNTED, History(counted=n), POLICY, 0.0) for n in range(7)]

    assert sum((s.after for s in steps if isinstance(s, TryAgain)), timedelta(0)) > CAP


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [(asking(WAITS, 30), 30), (WAITS, 1), (asking(COUNTED, 30), None), (COUNTED, None)],
)
def test_a_connection_cools_down_for_as_long_as_its_provider_asks(
    verdict: Verdict, expected: float | None
) -> None:
    wait = cool_down(verdict, POLICY)

    assert expected == (wait.total_seconds() if wait else None)


def test_a_completed_attempt_has_no_next_step() -> None:
    with pytest.raises(ValueError, match="completed"):
        decide(Verdict(outcome=Outcome.COMPLETED), NEW, POLICY, 0.0)


@given(
    base=st.sampled_from([WAITS, COUNTED, CUT]),
    history=histories,
    asked=asked_waits,
    chance=chances,
)
def test_no_pause_is_earlier_than_asked_or_longer_than_the_cap_beyond_it(
    base: Verdict, history: History, asked: timedelta | None, chance: float
) -> None:
    verdict = base if asked is None else asking(base, asked.total_seconds())

    step = decide(verdict, history, RetryPolicy(max_attempts=99), chance)

    assert isinstance(step, TryAgain)
    floor = asked or timedelta(0)
    assert floor <= step.after <= floor + CAP
