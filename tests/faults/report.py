"""The reliability report: every known fault, what inflicted it, and what came of it."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tests.faults.matrix import FAULTS, LEFT_OUT
from tests.support.checker import Kind
from tests.support.checker_summary import Summary

PASSED: Final = "passed"
_COLUMNS: Final = (
    "run", "faults", "accepted", "completed", "failed", "lost", "second", "needless", "repeated",
    "recovery",
)  # fmt: skip


class Case(msgspec.Struct, kw_only=True):
    """One test that inflicts faults. `summary`: of those that judge a whole system."""

    test: str
    faults: tuple[int, ...]
    outcome: str = "not run"
    seconds: float = 0.0
    summary: Summary | None = None


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """Tests that did not pass, and were run again after what they had found was mended."""

    revision: str
    tests: tuple[str, ...]


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when it ran. `minutes`: all of it. `again`: in order."""

    date: str
    revision: str
    cores: int
    minutes: float
    command: str
    again: tuple[Again, ...] = ()


class Figures(msgspec.Struct, frozen=True):
    """What is kept of a run."""

    conditions: Conditions
    cases: list[Case]


_TEXT: Final = """\
# Reliability report

Written by `{command}` on {date}, revision {revision}, in {minutes:.0f} minutes, on {cores} cores
that servers, services, provider and load shared. Everything is real: PostgreSQL, RabbitMQ, Redis
and every process of ours, killed, frozen, cut off and wiped.

{total}{again}

## Runs

Each was drained and then read back as its owner would. Three witnesses are held against the
promise: what the client was told, what the provider was called, what the databases hold.

{runs}

- **accepted**: answered 2xx. **lost**: of those, not final or without a result.
- **second**: a second result. **needless**: a provider call that nothing explains.
- **repeated**: provider calls after the first, by how the one before ended. `ambiguous` and `lost`
  are those whose executor died with the call in flight: the request's timeline says so.
- **recovery**: seconds until all that was open is final and new requests are accepted, from when
  what had failed was back (of an executor: from its death). The slowest of the run.

## Every fault

{faults}
"""


def report(conditions: Conditions, cases: Sequence[Case]) -> str:
    """All of it, as Markdown."""
    return _TEXT.format(
        **msgspec.structs.asdict(conditions) | {"again": _again(conditions.again)},
        total=_total(cases),
        runs="\n".join(_runs(cases)),
        faults="\n".join(_faults(cases)),
    )


def _total(cases: Sequence[Case]) -> str:
    ran = [case for case in cases if case.outcome != "not run"]
    summaries = [case.summary for case in ran if case.summary is not None]
    passed = sum(case.outcome == PASSED for case in ran)
    return (
        f"{passed} of {len(ran)} tests passed; {len(set(FAULTS) - set(LEFT_OUT))} of {len(FAULTS)}"
        f" known faults are inflicted. {sum(s.accepted for s in summaries)} requests accepted:"
        f" lost **{_found(summaries, Kind.LOST, Kind.RESULT_MISSING)}**,"
        f" second results **{_found(summaries, Kind.SECOND_RESULT)}**,"
        f" needless calls **{_found(summaries, Kind.NEEDLESS_CALL)}**,"
        f" usage records that differ **{_found(summaries, Kind.USAGE_DIFFERS)}**."
    )


def _again(runs: Sequence[Again]) -> str:
    return "".join(
        f"\n\n{len(run.tests)} tests had not passed, and were run again at revision"
        f" {run.revision}: {', '.join(_words(test.rpartition('::')[2]) for test in run.tests)}."
        for run in runs
    )


def _found(summaries: Sequence[Summary], *kinds: Kind) -> int:
    return sum(summary.found(*kinds) for summary in summaries)


def _runs(cases: Sequence[Case]) -> list[str]:
    return [
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
        *(_run(case.summary) for case in cases if case.summary is not None),
    ]


def _run(summary: Summary) -> str:
    columns = (
        _words(summary.what),
        _counts(summary.faults) or "one",
        summary.accepted,
        summary.completed,
        summary.failed,
        summary.found(Kind.LOST, Kind.RESULT_MISSING),
        summary.found(Kind.SECOND_RESULT),
        summary.found(Kind.NEEDLESS_CALL),
        _counts(summary.repeated) or "0",
        max(summary.slowest_recovery.values(), default="") if summary.slowest_recovery else "",
    )
    return f"| {' | '.join(str(column) for column in columns)} |"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _words(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def _faults(cases: Sequence[Case]) -> list[str]:
    rows = ["| # | where | what happens | inflicted by | result |", "|---|---|---|---|---|"]
    for number, (where, what) in FAULTS.items():
        mine = [case for case in cases if number in case.faults]
        if number in LEFT_OUT:
            rows.append(f"| {number} | {where} | {what} | {LEFT_OUT[number]} | left out |")
            continue
        tests = sorted({_words(case.test.rpartition("::")[2].partition("[")[0]) for case in mine})
        rows.append(f"| {number} | {where} | {what} | {'; '.join(tests)} | {_result(mine)} |")
    return rows


def _result(cases: Sequence[Case]) -> str:
    outcomes = [case.outcome for case in cases]
    return ", ".join(f"{outcomes.count(one)} {one}" for one in sorted(set(outcomes)))
