"""The figures of a run, for people: what was done to the system, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tests.support.checker import REPEATABLE, History, Kind, Violation
from tests.support.stack_faults import Inflicted

_COOLING: Final = ("sim-429", "sim-503")
_RETRIED: Final = "failed at the provider"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `repeated`: provider calls after the first, by what the one before was labelled.

    `slowest_restart` and `slowest_recovery`: seconds, of all faults of a target and an act.
    """

    what: str
    rate: float
    faults: dict[str, int]
    sent: int
    accepted: int
    stored_unanswered: int
    completed: int
    failed: int
    cancelled: int
    calls: int
    repeated: dict[str, int]
    outcomes: dict[str, int]
    violations: dict[str, int]
    slowest_restart: dict[str, float]
    slowest_recovery: dict[str, float]

    def found(self, *kinds: Kind) -> int:
        """How many violations of these kinds there were."""
        return sum(self.violations.get(kind.value, 0) for kind in kinds)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of: `rate` is orders a second as really sent."""

    what: str
    rate: float
    history: History
    violations: Sequence[Violation]
    inflicted: Sequence[Inflicted] = ()


def summarize(run: Run) -> Summary:
    """All figures of one run."""
    history = run.history
    promised = {sent.request_id for sent in history.sent if sent.is_accepted}
    states = Counter(end.state for end in history.finals.values())
    return Summary(
        what=run.what,
        rate=round(run.rate, 1),
        faults=dict(Counter(one.name for one in run.inflicted)),
        sent=len(history.sent),
        accepted=len(promised),
        stored_unanswered=len(history.stored.keys() - promised),
        completed=states["completed"],
        failed=states["failed"],
        cancelled=states["cancelled"],
        calls=len(history.calls),
        repeated=_repeated(history),
        outcomes=dict(Counter(attempt.outcome for attempt in history.attempts)),
        violations=dict(Counter(violation.kind.value for violation in run.violations)),
        slowest_restart=_slowest((one, one.restart) for one in run.inflicted),
        slowest_recovery=_slowest(recoveries(history, run.inflicted)),
    )


def recoveries(
    history: History, inflicted: Sequence[Inflicted]
) -> list[tuple[Inflicted, timedelta]]:
    """How long each fault was felt: until a new request is accepted and all that was open at its
    beginning is final, from when its target was back (of an executor: from the fault itself).

    A request that another, later fault hit again (it has an attempt that ended unknown and began
    after this fault) is counted for the later one. One whose provider asks everybody to wait is not
    counted: a backlog of those goes as slowly as their provider wants.
    """
    answered = sorted((sent.sent_at, sent.answered_at) for sent in history.sent if sent.is_accepted)
    spoiled = _last_unknown(history)
    found = []
    for one in inflicted:
        moments = [one.recovers_from]
        moments += [
            end.finished_at
            for request_id, end in history.finals.items()
            if history.stored[request_id].created_at <= one.began_at < end.finished_at
            and not history.stored[request_id].model.startswith(_COOLING)
            and spoiled.get(request_id, one.began_at) <= one.began_at
        ]
        moments += [after for before, after in answered if before > one.began_at][:1]
        found.append((one, max(moments) - one.recovers_from))
    return found


def _last_unknown(history: History) -> dict[str, datetime]:
    """When the last attempt began that ended unknown, by request."""
    last: dict[str, datetime] = {}
    for attempt in history.attempts:
        if attempt.outcome in REPEATABLE:
            before = last.get(attempt.request_id, attempt.started_at)
            last[attempt.request_id] = max(before, attempt.started_at)
    return last


def _slowest(found: Iterable[tuple[Inflicted, timedelta]]) -> dict[str, float]:
    slowest: dict[str, float] = {}
    for one, took in found:
        seconds = round(took.total_seconds(), 1)
        slowest[one.name] = max(slowest.get(one.name, 0.0), seconds)
    return slowest


def _repeated(history: History) -> dict[str, int]:
    outcomes = history.outcomes()
    labels: Counter[str] = Counter()
    for request_id, calls in history.calls_by_request().items():
        for call in calls[:-1]:
            label = outcomes.get((request_id, call.fence), "not recorded")
            labels[_RETRIED if call.has_failed and label not in REPEATABLE else label] += 1
    return dict(labels)


def table(summaries: Sequence[Summary]) -> str:
    """The runs side by side, one a line, as aligned text."""
    head = (
        "what", "faults", "load/s", "accepted", "completed", "failed", "lost", "doubled",
        "after final", "needless", "repeated", "restart s", "recovery s",
    )  # fmt: skip
    rows = [head, *(_row(summary) for summary in summaries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in rows]
    return "\n".join(line.rstrip() for line in lines)


def _row(summary: Summary) -> tuple[str, ...]:
    return (
        summary.what,
        str(sum(summary.faults.values())),
        f"{summary.rate:.0f}",
        str(summary.accepted),
        str(summary.completed),
        str(summary.failed),
        str(summary.found(Kind.LOST, Kind.RESULT_MISSING)),
        str(summary.found(Kind.SECOND_RESULT)),
        str(summary.found(Kind.CALL_AFTER_FINAL)),
        str(summary.found(Kind.NEEDLESS_CALL)),
        ", ".join(f"{count} {label}" for label, count in sorted(summary.repeated.items())) or "0",
        f"{max(summary.slowest_restart.values(), default=0.0):.1f}",
        f"{max(summary.slowest_recovery.values(), default=0.0):.1f}",
    )
