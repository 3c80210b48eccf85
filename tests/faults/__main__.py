"""Inflict every known fault, or a random storm of them, and write what came of it.

`python -m tests.faults` runs every test that inflicts a fault, the slow ones too, and writes
docs/reliability-report.md with its raw figures. With `--again` it runs only what did not pass the
last time, and the report says so. With `--minutes N` it runs a random storm of that length instead;
the same `--seed` makes the same storm.
"""

import argparse
import os
import secrets
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.faults.report import PASSED, Again, Case, Conditions, Figures, report
from tests.support.checker_summary import Summary, table

_ROOT: Final = Path(__file__).parents[2]
_REPORT: Final = _ROOT / "docs" / "reliability-report.md"
_FIGURES: Final = _ROOT / "docs" / "reliability-report.json"


class Recorder:
    """Notes what pytest runs: a plugin."""

    def __init__(self) -> None:
        """Nothing has run."""
        self.cases: dict[str, Case] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note who inflicts what, of those that are not deselected."""
        for item in items:
            faults = tuple(n for mark in item.iter_markers("fault") for n in mark.args)
            self.cases[item.nodeid] = Case(test=item.nodeid, faults=faults)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how it ended: the call, or what kept it from being made."""
        if report.when != "call" and report.passed:
            return
        case = self.cases[report.nodeid]
        case.outcome, case.seconds = report.outcome, round(report.duration, 1)
        for name, value in report.user_properties:
            if name == "summary":
                case.summary = msgspec.convert(value, Summary)


def main() -> int:
    """Run; the exit code is pytest's."""
    given = _parse()
    recorder, began, revision = Recorder(), time.monotonic(), _revision()
    if given.again:
        last = msgspec.json.decode(_FIGURES.read_bytes(), type=Figures)
        failed = [case.test for case in last.cases if case.outcome != PASSED]
        if not failed:
            sys.stdout.write("Everything passed the last time.\n")
            return 0
        code = _run(recorder, *failed)
        _write(_joined(last, recorder, Again(revision=revision, tests=tuple(failed))))
    elif given.minutes is None:
        code = _run(recorder, "tests", "-m", "fault and not storm", *given.pytest)
        if not given.pytest:
            conditions = Conditions(
                date=datetime.now(UTC).date().isoformat(),
                revision=revision,
                cores=os.cpu_count() or 0,
                minutes=(time.monotonic() - began) / 60,
                command="make chaos",
            )
            _write(Figures(conditions, list(recorder.cases.values())))
    else:
        os.environ["REQRUN_STORM_MINUTES"] = str(given.minutes)
        os.environ["REQRUN_STORM_SEED"] = str(given.seed)
        code = _run(recorder, "tests/faults", "-m", "storm", *given.pytest)
    summaries = [case.summary for case in recorder.cases.values() if case.summary is not None]
    sys.stdout.write(f"\n{table(summaries)}\n")
    return code


def _parse() -> Any:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--again", action="store_true", help="only what did not pass")
    parser.add_argument("--minutes", type=float, help="a random storm of this length instead")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the storm")
    parser.add_argument("pytest", nargs="*", help="more words for pytest; then nothing is written")
    return parser.parse_args()


def _run(recorder: Recorder, *words: str) -> int:
    return int(pytest.main(["-q", *words], plugins=[recorder]))


def _revision() -> str:
    return subprocess.run(
        ("git", "rev-parse", "--short", "HEAD"),  # noqa: S607  found on the path, as everywhere
        cwd=_ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip


def _joined(last: Figures, recorder: Recorder, again: Again) -> Figures:
    """The last run's, with what was run again in its place."""
    conditions = msgspec.structs.replace(last.conditions, again=(*last.conditions.again, again))
    return Figures(conditions, [recorder.cases.get(case.test, case) for case in last.cases])


def _write(figures: Figures) -> None:
    _REPORT.write_text(report(figures.conditions, figures.cases))
    _FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
