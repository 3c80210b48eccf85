"""What happened, held against what was promised: a pure function over three witnesses.

The client's log says what was promised, the provider's call log what was really called, the
databases what the system believes. The faults that can be found are `Kind`; each has a hand-made
bad history in tests/unit/support that proves it is found.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from tests.support.client import FINAL, Reading, Sent

REPEATABLE: Final = frozenset({"ambiguous", "lost"})
COMPLETION_PREFIX: Final = "chatcmpl-sim"
"""What the simulator puts before a call's number to make a result's id."""


class Kind(StrEnum):
    """Every way in which the promise can be broken."""

    LOST = "accepted, but not final or not stored"
    RESULT_MISSING = "completed without a result"
    SECOND_RESULT = "more than one result"
    FOREIGN_RESULT = "the result of another request's call"
    FINAL_CHANGED = "a final state changed"
    CALL_AFTER_FINAL = "a provider call began after the final state"
    NEEDLESS_CALL = "repeated although the call before is neither failed, ambiguous nor lost"
    UNRECORDED_CALL = "a provider call without its attempt"
    ATTEMPTS_DIFFER = "the number of attempts differs from the attempts kept"
    UNEXPLAINED = "an attempt is called ambiguous or lost although nothing happened to it"
    UNEXPECTED_END = "it did not end as its model says"
    USAGE_DIFFERS = "the usage record is missing, surplus or differs"
    DRIFT = "counters differ from the rows they count"
    LEFT_OVER = "open rows or unsent events are left"


class Violation(msgspec.Struct, frozen=True):
    """One broken promise. `request_id` is empty where it concerns no single request."""

    kind: Kind
    request_id: str
    detail: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call that the provider received. `ended` and `status_code` are None while it ran."""

    number: int
    request_id: str
    fence: int
    started_at: datetime
    finished_at: datetime | None = None
    status_code: int | None = None
    ended: str | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the provider itself refused it or cut it: then a repeat is what is asked for."""
        is_refused = self.status_code is not None and self.status_code // 100 != 2
        return is_refused or self.ended == "cut"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as the ledger keeps it."""

    request_id: str
    number: int
    fence: int
    outcome: str
    started_at: datetime
    finished_at: datetime


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended, by the ledger or by billing; tokens are prompt, completion, total."""

    request_id: str
    state: str
    attempts: int
    finished_at: datetime
    tokens: tuple[int, int, int]


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the ledger accepted."""

    request_id: str
    mode: str
    model: str
    created_at: datetime


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All three witnesses. `result_bodies`: how many results are kept of each request.

    `drift`, `open_rows`, `unsent_events`: read once everything is drained. `faults`: when each
    began and ended; None where nobody kept account of them.
    """

    sent: Sequence[Sent] = ()
    readings: Sequence[Reading] = ()
    calls: Sequence[Call] = ()
    stored: Mapping[str, Stored] = msgspec.field(default_factory=dict)
    finals: Mapping[str, End] = msgspec.field(default_factory=dict)
    attempts: Sequence[Attempt] = ()
    result_bodies: Mapping[str, int] = msgspec.field(default_factory=dict)
    usage: Mapping[str, End] = msgspec.field(default_factory=dict)
    drift: int = 0
    open_rows: int = 0
    unsent_events: int = 0
    faults: Sequence[tuple[datetime, datetime]] | None = None

    def told(self) -> list[Sent | Reading]:
        """All that the client was told."""
        return [*self.sent, *self.readings]

    def calls_by_request(self) -> dict[str, list[Call]]:
        """Each request's calls, in the order of their fences."""
        found: dict[str, list[Call]] = defaultdict(list)
        for call in sorted(self.calls, key=lambda call: (call.fence, call.number)):
            found[call.request_id].append(call)
        return found

    def outcomes(self) -> dict[tuple[str, int], str]:
        """How each attempt ended, by request and fence."""
        return {(a.request_id, a.fence): a.outcome for a in self.attempts}


def check(history: History, expected: Mapping[str, str]) -> list[Violation]:
    """Every broken promise. `expected`: how requests to a model must end; completed if unnamed."""
    return [
        *_lost(history),
        *_results(history),
        *_final_changes(history),
        *_calls(history),
        *_attempts(history),
        *_labels(history),
        *_ends(history, expected),
        *_usage(history),
        *_leftovers(history),
    ]


def _lost(history: History) -> Iterator[Violation]:
    for sent in history.sent:
        if not sent.is_accepted:
            continue
        request_id = sent.request_id or ""
        if request_id not in history.stored:
            yield Violation(Kind.LOST, request_id, f"order {sent.number} is not stored")
        elif request_id not in history.finals:
            yield Violation(Kind.LOST, request_id, f"order {sent.number} is not final")


def _results(history: History) -> Iterator[Violation]:
    """Results seen by the client, and those that are kept."""
    # A simulator that was started again counts its calls from 1 again.
    callers: dict[str, set[str]] = defaultdict(set)
    for call in history.calls:
        callers[f"{COMPLETION_PREFIX}{call.number:010d}"].add(call.request_id)
    for request_id, seen in _results_seen(history).items():
        if len(seen) > 1:
            yield Violation(Kind.SECOND_RESULT, request_id, f"{len(seen)} were shown")
        if any(request_id not in callers[completion_id] for completion_id in seen):
            yield Violation(Kind.FOREIGN_RESULT, request_id)
    for request_id, final in history.finals.items():
        kept = history.result_bodies.get(request_id, 0)
        if kept > 1:
            yield Violation(Kind.SECOND_RESULT, request_id, f"{kept} are kept")
        if kept == 0 and final.state == "completed":
            yield Violation(Kind.RESULT_MISSING, request_id)


def _results_seen(history: History) -> dict[str, set[str]]:
    seen: dict[str, set[str]] = defaultdict(set)
    for one in history.told():
        if one.request_id and one.completion_id:
            seen[one.request_id].add(one.completion_id)
    return seen


def _final_changes(history: History) -> Iterator[Violation]:
    for one in history.told():
        final = history.finals.get(one.request_id or "")
        if one.state in FINAL and final is not None and one.state != final.state:
            yield Violation(
                Kind.FINAL_CHANGED, final.request_id, f"{one.state}, then {final.state}"
            )


def _calls(history: History) -> Iterator[Violation]:
    outcomes = history.outcomes()
    for request_id, calls in history.calls_by_request().items():
        final = history.finals.get(request_id)
        for call in calls:
            if (request_id, call.fence) not in outcomes:
                yield Violation(Kind.UNRECORDED_CALL, request_id, f"fence {call.fence}")
            if final is not None and call.started_at > final.finished_at:
                late = call.started_at - final.finished_at
                yield Violation(Kind.CALL_AFTER_FINAL, request_id, f"{late.total_seconds()} s")
        for call in calls[:-1]:
            label = outcomes.get((request_id, call.fence))
            if label not in REPEATABLE and not call.has_failed:
                yield Violation(Kind.NEEDLESS_CALL, request_id, f"the one before was {label}")


def _attempts(history: History) -> Iterator[Violation]:
    kept = Counter(attempt.request_id for attempt in history.attempts)
    for request_id, final in history.finals.items():
        if kept[request_id] != final.attempts:
            detail = f"{final.attempts} counted, {kept[request_id]} kept"
            yield Violation(Kind.ATTEMPTS_DIFFER, request_id, detail)


def _labels(history: History) -> Iterator[Violation]:
    """A label excuses a repeat, so the label itself needs a reason: a fault in its lifetime."""
    if history.faults is None:
        return
    failed = {(call.request_id, call.fence) for call in history.calls if call.has_failed}
    for one in history.attempts:
        if one.outcome not in REPEATABLE or (one.request_id, one.fence) in failed:
            continue
        if not any(began <= one.finished_at and one.started_at <= e for began, e in history.faults):
            yield Violation(Kind.UNEXPLAINED, one.request_id, f"attempt {one.number}")


def _ends(history: History, expected: Mapping[str, str]) -> Iterator[Violation]:
    for request_id, final in history.finals.items():
        model = history.stored[request_id].model
        if final.state != expected.get(model, "completed"):
            yield Violation(Kind.UNEXPECTED_END, request_id, f"{model} ended {final.state}")


def _usage(history: History) -> Iterator[Violation]:
    """One usage record for each final live request, with the ledger's own figures."""
    due = {i: f for i, f in history.finals.items() if history.stored[i].mode == "live"}
    for request_id in due.keys() | history.usage.keys():
        ours, theirs = due.get(request_id), history.usage.get(request_id)
        if ours != theirs:
            detail = "surplus" if ours is None else "missing" if theirs is None else "other figures"
            yield Violation(Kind.USAGE_DIFFERS, request_id, detail)


def _leftovers(history: History) -> Iterator[Violation]:
    if history.drift:
        yield Violation(Kind.DRIFT, "", f"{history.drift} rows")
    if history.open_rows or history.unsent_events:
        detail = f"{history.open_rows} open rows, {history.unsent_events} unsent events"
        yield Violation(Kind.LEFT_OVER, "", detail)
