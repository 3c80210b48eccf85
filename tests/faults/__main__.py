"""Inflict every known fault, or a random storm of them, and write what came of it.

`python -m tests.faults` runs every test that inflicts a fault, the slow ones too, and writes
docs/reliability-report.md with its raw figures. With `--minutes N` it runs a random storm of that
length instead; the same `--seed` makes the same storm.
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

from tests.faults.report import Case, Conditions, report
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
    recorder, began = Recorder(), time.monotonic()
    if given.minutes is None:
        code = _run(recorder, "tests", "-m", "fault and not storm", *given.pytest)
        if not given.pytest:
            _write(recorder, (time.monotonic() - began) / 60)
    else:
        os.environ["REQRUN_STORM_MINUTES"] = str(given.minutes)
        os.environ["REQRUN_STORM_SEED"] = str(given.seed)
        code = _run(recorder, "tests/faults", "-m", "storm", *given.pytest)
    summaries = [case.summary for case in recorder.cases.values() if case.summary is not None]
    sys.stdout.write(f"\n{table(summaries)}\n")
    return code


def _parse() -> Any:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, help="a random storm of this length instead")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the storm")
    parser.add_argument("pytest", nargs="*", help="more words for pytest; then nothing is written")
    return parser.parse_args()


def _run(recorder: Recorder, *words: str) -> int:
    return int(pytest.main(["-q", *words], plugins=[recorder]))


def _write(recorder: Recorder, minutes: float) -> None:
    revision = subprocess.run(
        ("git", "rev-parse", "--short", "HEAD"),  # noqa: S607  found on the path, as everywhere
        cwd=_ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    conditions = Conditions(
        date=datetime.now(UTC).date().isoformat(),
        revision=revision,
        cores=os.cpu_count() or 0,
        minutes=minutes,
        command="make chaos",
    )
    cases = list(recorder.cases.values())
    _REPORT.write_text(report(conditions, cases))
    figures = msgspec.json.encode({"conditions": conditions, "cases": cases})
    _FIGURES.write_bytes(msgspec.json.format(figures, indent=1) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
