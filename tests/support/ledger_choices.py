"""What the ledger's machine chooses from: who comes with what, and how a call ends."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from libs.common.ids import new_id
from libs.ledger.accept import Idempotency, Submission
from libs.ledger.claim import Claim
from libs.ledger.finish import Finish
from libs.ledger.states import Outcome, State
from tests.support.ledgers import ending, retry, submission

SECOND: Final = timedelta(seconds=1)
PROJECTS: Final = ("prj_a", "prj_b")

CUSTOMER: Final = ("stranger",) * 5 + ("pause",) * 2 + ("cancel", "erase")
STEPS: Final = ("release", "close_orphans", "hint_again", "expire", "hint_everything")

ENDINGS: Final[dict[str, Callable[[Claim], Finish]]] = {
    "completed": ending,
    "429": lambda claim: retry(claim, 20 * SECOND, cooldown=20 * SECOND),
    "500": lambda claim: retry(claim, SECOND, counted=1),
    "timeout": lambda claim: retry(claim, counted=1, timeouts=1),
    "unsent": lambda claim: retry(claim, 2 * SECOND, was_sent=False),
    "too late a retry": lambda claim: retry(claim, timedelta(days=9)),
    "rejected": lambda claim: ending(
        claim,
        state=State.FAILED,
        outcome=Outcome.PERMANENT,
        error_code="provider_rejected",
        result=None,
        provider_error=b"{}",
    ),
}

projects = st.sampled_from(PROJECTS)
numbers = st.integers(0, 19)
times = st.sampled_from([0, 1, 6, 16, 16, 16, 30, 30, 100, 4_000])


def ordered(key: str | None, **changes: Any) -> Submission:
    idempotency = key and Idempotency(key, b"")
    return submission(idempotency=idempotency, running_limit=3, pending_limit=7, **changes)


def batch(items: list[Submission], body: bytes) -> list[Submission]:
    """Callers that come together; in one batch, a key stands for one body."""
    return [
        msgspec.structs.replace(
            item,
            id=new_id("rr"),
            idempotency=item.idempotency and Idempotency(item.idempotency.key, body),
        )
        for item in items
    ]


orders = st.builds(
    ordered,
    key=st.sampled_from([None, None, "key_1", "key_2"]),
    project_id=projects,
    mode=st.sampled_from(["live", "live", "test"]),
    deadline=st.sampled_from([90 * SECOND, timedelta(hours=1), timedelta(days=1)]),
    max_attempts=st.sampled_from([2, 8, 8]),
    fails_on_unknown=st.sampled_from([False, False, True]),
)
