"""What is worth sending again, and when.

Every call of the API may be sent again: a submission carries an idempotency key, the others have
the same effect twice as once.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reqrun.errors import refusal, seconds
from reqrun.exchange import Answer, Lost, Outcome
from reqrun.shapes import FINAL

_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_NEVER: Final = frozenset({"monthly_quota_exceeded"})
_ALWAYS: Final = frozenset({"nonce_reused", "request_timeout"})


@dataclass(frozen=True, slots=True)
class Retries:
    """`count` tries after the first. Times are in seconds.

    The n-th pause is random between half of and the whole of `base` * 2**n, at most `cap`, and
    never ends before the server's Retry-After; one longer than `longest` is an error at once.
    """

    count: int = 4
    base: float = 0.5
    cap: float = 8.0
    longest: float = 60.0
    draw: Callable[[], float] = random.random

    def pause(self, outcome: Outcome, number: int) -> float | None:
        """How long to wait before the next try; None where another would change nothing.

        `number`: how many failed before, from 0.
        """
        if not is_passing(outcome):
            return None
        asked = seconds(outcome.headers.get("retry-after")) if isinstance(outcome, Answer) else None
        backoff = min(self.cap, math.ldexp(self.base, number)) * (0.5 + self.draw() / 2)
        return backoff if asked is None else max(backoff, asked + self.base * self.draw())


def is_passing(outcome: Outcome) -> bool:
    """Whether the same call may succeed in a moment.

    A reused nonce means that something on the way sent the call twice: signed anew, it passes. So
    may a body that was too slow. The error that a drop-in key gets for a request that has failed is
    the request's end and stays. `x-should-retry` is for who may have sent no idempotency key.
    """
    if isinstance(outcome, Lost):
        return True
    if outcome.is_success or outcome.headers.get("x-reqrun-status") in FINAL:
        return False
    code = refusal(outcome).code
    return code in _ALWAYS or (outcome.status in _PASSING and code not in _NEVER)
