"""What follows an attempt that did not complete: another one, after how long, or the end.

Attempts whose executor died are decided where they are found, in libs/ledger/orphans.py.
The deadline is not looked at here either: the ledger compares it with its own clock and fails a
request whose next attempt would come too late (docs/request-lifecycle.md).
"""

from datetime import timedelta
from typing import Final

import msgspec

from libs.common.contracts.accounts import OnUnknownOutcome
from libs.ledger.states import Outcome
from services.executor.domain.failures import ErrorCode, Retry, Verdict

MAX_TIMEOUTS: Final = 2
CAP: Final = timedelta(minutes=5)
UNASKED_COOL_DOWN: Final = timedelta(seconds=1)
"""Where the provider names no time: long enough to stop a stampede, short enough to find out."""

_WAITS_BASE: Final = timedelta(seconds=0.5)
_WAITS_FACTOR: Final = 2
_COUNTED_BASE: Final = timedelta(seconds=1)
_COUNTED_FACTOR: Final = 3
_MAX_EXPONENT: Final = 20
"""Far past the cap for every base and factor; keeps the power small."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The request's `max_attempts`, the project's setting, and the process's `backoff_scale`.

    `backoff_scale` stretches our own pauses and never a provider's; fault tests make it small.
    """

    max_attempts: int = 8
    on_unknown_outcome: OnUnknownOutcome = "retry"
    backoff_scale: float = 1.0


class History(msgspec.Struct, frozen=True, kw_only=True):
    """How the attempts *before* this one ended.

    `waited`: those that did not count, of which the pause grows; a ledger that keeps no such column
    has it as `attempts - counted - 1`.
    """

    counted: int = 0
    timeouts: int = 0
    waited: int = 0


class TryAgain(msgspec.Struct, frozen=True):
    """Another attempt, not before `after` has passed; `rule` is what chose it, for the timeline."""

    after: timedelta
    rule: str


class GiveUp(msgspec.Struct, frozen=True):
    """No further attempt: the request fails with this code."""

    error_code: ErrorCode


def decide(
    verdict: Verdict, history: History, policy: RetryPolicy, chance: float
) -> TryAgain | GiveUp:
    """What follows a failed attempt. `chance` is in [0, 1). A completed one has no next step."""
    if verdict.error_code is None:
        raise ValueError(f"an attempt that is {verdict.outcome} needs no decision")
    if _is_last(verdict, history, policy):
        return GiveUp(verdict.error_code)
    if verdict.retry is Retry.WAITS:
        window = _window(_WAITS_BASE, _WAITS_FACTOR, history.waited) * policy.backoff_scale
        return _pause(verdict, timedelta(0), window * chance)
    window = _window(_COUNTED_BASE, _COUNTED_FACTOR, history.counted) * policy.backoff_scale
    return _pause(verdict, window / 2, window / 2 * chance)


def cool_down(verdict: Verdict, policy: RetryPolicy) -> timedelta | None:
    """How long nobody should call this connection and model; None if it need not cool down."""
    if not verdict.is_cooldown:
        return None
    if verdict.asked_wait is not None:
        return verdict.asked_wait
    return UNASKED_COOL_DOWN * policy.backoff_scale


def _is_last(verdict: Verdict, history: History, policy: RetryPolicy) -> bool:
    if verdict.retry is Retry.NEVER:
        return True
    if verdict.outcome is Outcome.AMBIGUOUS and policy.on_unknown_outcome == "fail":
        return True
    if verdict.is_timeout and history.timeouts + 1 >= MAX_TIMEOUTS:
        return True
    return verdict.retry is Retry.COUNTED and history.counted + 1 >= policy.max_attempts


def _window(base: timedelta, factor: int, exponent: int) -> timedelta:
    """The pause before chance and scale: it grows with every attempt of its class, to the cap."""
    return min(CAP, base * float(factor) ** max(0, min(exponent, _MAX_EXPONENT)))


def _pause(verdict: Verdict, fixed: timedelta, random: timedelta) -> TryAgain:
    """The provider's wish is a floor, and chance comes on top, or all would return at one instant.

    (AWS Architecture Blog, "Exponential Backoff and Jitter": why full jitter.)
    """
    if verdict.asked_wait is not None and verdict.asked_by and verdict.asked_wait >= fixed:
        return TryAgain(verdict.asked_wait + random, verdict.asked_by)
    return TryAgain(fixed + random, f"backoff-{verdict.retry}")
