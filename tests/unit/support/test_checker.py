"""The checker finds every kind of broken promise: one hand-made bad history for each.

A checker that never fails proves nothing.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.support.checker import Attempt, Call, End, History, Kind, Stored, check
from tests.support.checker_summary import Run, recoveries, summarize, table
from tests.support.client import Reading, Sent
from tests.support.stack_faults import Inflicted

T0 = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
ONE = "rr_1"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def order(**changes: Any) -> Sent:
    told = Sent(
        number=1,
        mode="live",
        model="sim-ok",
        gateway=0,
        is_waiting=True,
        sent_at=at(0),
        answered_at=at(4),
        status_code=200,
        request_id=ONE,
        state="completed",
        completion_id="chatcmpl-sim0000000007",
    )
    return msgspec.structs.replace(told, **changes)


def call(**changes: Any) -> Call:
    seen = Call(
        number=7,
        request_id=ONE,
        fence=1,
        started_at=at(1),
        finished_at=at(2),
        status_code=200,
        ended="answered",
    )
    return msgspec.structs.replace(seen, **changes)


def attempt(**changes: Any) -> Attempt:
    kept = Attempt(
        request_id=ONE,
        number=1,
        fence=1,
        outcome="completed",
        started_at=at(1),
        finished_at=at(3),
    )
    return msgspec.structs.replace(kept, **changes)


def end(**changes: Any) -> End:
    kept = End(request_id=ONE, state="completed", attempts=1, finished_at=at(3), tokens=(10, 5, 15))
    return msgspec.structs.replace(kept, **changes)


def stored(**changes: Any) -> Stored:
    kept = Stored(request_id=ONE, mode="live", model="sim-ok", created_at=at(0.5))
    return msgspec.structs.replace(kept, **changes)


GOOD = History(
    sent=[order()],
    calls=[call()],
    stored={ONE: stored()},
    finals={ONE: end()},
    attempts=[attempt()],
    result_bodies={ONE: 1},
    usage={ONE: end()},
)


def changed(**changes: Any) -> History:
    return msgspec.structs.replace(GOOD, **changes)


def kinds(history: History, **expected: str) -> set[Kind]:
    return {found.kind for found in check(history, expected)}


def reading(completion_id: str | None, state: str = "completed") -> Reading:
    return Reading(
        request_id=ONE, state=state, attempts=1, last_error_code=None, completion_id=completion_id
    )


def twice(outcome: str, **first: Any) -> History:
    """Called two times; `outcome` is how the ledger labels the first attempt."""
    return changed(
        calls=[call(number=6, **first), call(fence=2)],
        attempts=[attempt(outcome=outcome), attempt(number=2, fence=2)],
        finals={ONE: end(attempts=2)},
        usage={ONE: end(attempts=2)},
    )


def test_a_good_history_breaks_nothing() -> None:
    assert check(GOOD, {}) == []


BROKEN = [
    (changed(finals={}, usage={}, result_bodies={}), Kind.LOST),
    (
        History(sent=[order(state="queued", completion_id=None)]),
        Kind.LOST,
    ),
    (changed(result_bodies={}), Kind.RESULT_MISSING),
    (changed(result_bodies={ONE: 2}), Kind.SECOND_RESULT),
    (
        changed(
            readings=[reading("chatcmpl-sim0000000008")],
            calls=[call(), call(number=8, fence=0, ended="cut", status_code=None)],
            attempts=[attempt(), attempt(number=0, fence=0, outcome="ambiguous")],
            finals={ONE: end(attempts=2)},
            usage={ONE: end(attempts=2)},
        ),
        Kind.SECOND_RESULT,
    ),
    (
        changed(sent=[order(completion_id="chatcmpl-sim0000000099")]),
        Kind.FOREIGN_RESULT,
    ),
    (changed(readings=[reading(None, "failed")]), Kind.FINAL_CHANGED),
    (changed(calls=[call(started_at=at(3.5))]), Kind.CALL_AFTER_FINAL),
    (twice("completed"), Kind.NEEDLESS_CALL),
    (twice("transient"), Kind.NEEDLESS_CALL),
    (changed(attempts=[attempt(fence=9)]), Kind.UNRECORDED_CALL),
    (changed(attempts=[attempt(), attempt(number=2, fence=2)]), Kind.ATTEMPTS_DIFFER),
    (
        msgspec.structs.replace(twice("ambiguous"), faults=[(at(3.5), at(4))]),
        Kind.UNEXPLAINED,
    ),
    (changed(stored={ONE: stored(model="sim-400")}), Kind.UNEXPECTED_END),
    (changed(usage={}), Kind.USAGE_DIFFERS),
    (changed(usage={ONE: end(), "rr_2": end(request_id="rr_2")}), Kind.USAGE_DIFFERS),
    (changed(usage={ONE: end(tokens=(10, 5, 16))}), Kind.USAGE_DIFFERS),
    (changed(stored={ONE: stored(mode="test")}), Kind.USAGE_DIFFERS),
    (changed(drift=1), Kind.DRIFT),
    (changed(open_rows=1), Kind.LEFT_OVER),
    (changed(unsent_events=1), Kind.LEFT_OVER),
]


@pytest.mark.parametrize(("history", "kind"), BROKEN)
def test_a_broken_promise_is_found_and_nothing_else(history: History, kind: Kind) -> None:
    assert kinds(history, **{"sim-400": "failed"}) == {kind}


def test_every_kind_of_broken_promise_has_such_a_history() -> None:
    assert {kind for _, kind in BROKEN} == set(Kind)


@pytest.mark.parametrize(
    "history",
    [
        twice("ambiguous"),
        twice("lost"),
        twice("transient", status_code=429),
        twice("transient", status_code=500),
        twice("ambiguous", status_code=None, ended="cut"),
        msgspec.structs.replace(twice("ambiguous"), faults=[(at(0.5), at(1.5))]),
    ],
)
def test_a_repeat_with_a_reason_is_none(history: History) -> None:
    assert check(history, {}) == []


def test_what_was_never_promised_cannot_be_lost() -> None:
    refused = order(status_code=503, request_id=None, state=None, completion_id=None)
    silent = order(status_code=None, request_id=None, state=None, completion_id=None)

    assert check(changed(sent=[refused, silent]), {}) == []


def test_a_request_nobody_was_told_of_is_held_to_the_same_rules() -> None:
    history = changed(sent=[order(status_code=None, request_id=None)], result_bodies={})

    assert kinds(history) == {Kind.RESULT_MISSING}


def test_the_summary_counts_and_labels() -> None:
    history = twice("ambiguous")
    inflicted = Inflicted("executor", "kill", at(1.5), timedelta(), at(1.7))
    run = Run(what="a run", rate=10, history=history, violations=[], inflicted=[inflicted])

    summary = summarize(run)

    assert (summary.accepted, summary.completed, summary.calls) == (1, 1, 2)
    assert summary.repeated == {"ambiguous": 1}
    assert summary.faults == {"executor kill": 1}
    assert summary.slowest_restart == {"executor kill": pytest.approx(0.2)}
    assert summary.slowest_recovery == {"executor kill": pytest.approx(1.5)}
    assert "1 ambiguous" in table([summary])


def test_recovery_lasts_until_what_was_open_is_final_and_a_restart_is_told_apart() -> None:
    fault = Inflicted("postgresql", "kill", at(0.6), timedelta(seconds=1), at(1.7))

    [(_, felt)] = recoveries(GOOD, [fault])

    assert fault.restart == timedelta(seconds=0.1)
    assert felt == timedelta(seconds=1.3)


def test_an_executors_recovery_begins_with_its_death_because_others_take_over() -> None:
    [(_, felt)] = recoveries(GOOD, [Inflicted("executor", "kill", at(0.6), timedelta(), at(1.7))])

    assert felt == timedelta(seconds=2.4)


def test_recovery_of_a_request_that_a_later_fault_hit_again_counts_for_the_later_one() -> None:
    first = Inflicted("executor", "kill", at(0.6), timedelta(), at(0.7))
    later = Inflicted("executor", "kill", at(1.5), timedelta(), at(1.6))

    [(_, felt_first), (_, felt_later)] = recoveries(twice("ambiguous"), [first, later])

    assert felt_first == timedelta()
    assert felt_later == timedelta(seconds=1.5)
