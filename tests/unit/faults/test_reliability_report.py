import msgspec

from tests.faults.matrix import FAULTS, LEFT_OUT
from tests.faults.report import Again, Case, Conditions, report
from tests.support.checker import Kind
from tests.support.checker_summary import Summary

CONDITIONS = Conditions(date="2026-11-22", revision="abc", cores=2, minutes=3.2, command="it")
GOOD = Summary(
    what="test_a_storm",
    rate=100.0,
    faults={"redis kill": 2},
    sent=12,
    accepted=10,
    stored_unanswered=0,
    completed=9,
    failed=1,
    cancelled=0,
    calls=11,
    repeated={"ambiguous": 1},
    outcomes={},
    violations={},
    slowest_restart={"redis kill": 0.1},
    slowest_recovery={"redis kill": 1.5},
)
STORM = Case(test="a.py::test_a_storm[3]", faults=(46, 90), outcome="passed", summary=GOOD)


def test_a_run_is_told_with_all_its_figures() -> None:
    text = report(CONDITIONS, [STORM])

    assert "| a storm | 2 redis kill | 10 | 9 | 1 | 0 | 0 | 0 | 1 ambiguous | 1.5 |" in text
    assert "10 requests accepted: lost **0**, second results **0**" in text


def test_what_was_broken_is_not_hidden() -> None:
    broken = msgspec.structs.replace(
        GOOD, violations={Kind.LOST.value: 2, Kind.SECOND_RESULT.value: 1}
    )
    failed = Case(test="a.py::test_b", faults=(1,), outcome="failed", summary=broken)

    text = report(CONDITIONS, [STORM, failed])

    assert "1 of 2 tests passed" in text
    assert "lost **2**, second results **1**" in text
    assert "| 1 | gateway | killed before the commit of a request | b | 1 failed |" in text


def test_what_was_run_again_is_named() -> None:
    again = Again(revision="def", tests=("a.py::test_a_storm[3]", "b.py::test_b"))

    text = report(msgspec.structs.replace(CONDITIONS, again=(again,)), [STORM])

    assert "2 tests had not passed, and were run again at revision def: a storm[3], b." in text
    assert "run again" not in report(CONDITIONS, [STORM])


def test_every_fault_has_its_line_and_what_did_not_run_says_so() -> None:
    lazy = Case(test="a.py::test_c", faults=(2,))

    lines = report(CONDITIONS, [lazy]).splitlines()

    starts = tuple(f"| {number} |" for number in FAULTS)
    assert sum(line.startswith(starts) for line in lines) == len(FAULTS) > 90
    assert all(any(reason in line for line in lines) for reason in LEFT_OUT.values())
    assert any(line.startswith("| 2 |") and line.endswith("| c | 1 not run |") for line in lines)
