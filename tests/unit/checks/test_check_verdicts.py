from deploy.checks.advisories import Advisory, Package, Report, verdict
from deploy.checks.leaks import Finding, Scan, unlisted

UNKNOWN = Package("a", skip_reason="not found")
GOOD = Package("b", "1.0")
BAD = Package("c", "2.0", [Advisory("PYSEC-2026-1")])


def test_an_audit_that_looked_up_nothing_says_so_in_capitals() -> None:
    for report in (Report(), Report([UNKNOWN])):
        may_go_on, text = verdict("some.lock", report)
        assert may_go_on
        assert text.startswith("SKIPPED")


def test_an_audit_that_left_something_out_fails() -> None:
    assert verdict("some.lock", Report([UNKNOWN, GOOD])) == (
        False,
        "some.lock: 1 packages could not be looked up",
    )


def test_an_audit_names_what_is_vulnerable() -> None:
    may_go_on, text = verdict("some.lock", Report([GOOD, BAD]))
    assert not may_go_on
    assert "c 2.0: PYSEC-2026-1" in text


def test_a_complete_audit_says_how_much_it_looked_up() -> None:
    assert verdict("some.lock", Report([GOOD])) == (
        True,
        "some.lock: no known vulnerability in 1 packages",
    )


def test_an_accepted_finding_may_move_but_not_multiply() -> None:
    accepted = Scan({"a.py": [Finding("Secret Keyword", "hash", 3)]})
    assert unlisted(Scan({"a.py": [Finding("Secret Keyword", "hash", 9)]}), accepted) == []
    assert unlisted(Scan({"b.py": [Finding("Secret Keyword", "hash", 9)]}), accepted) == [
        "b.py:9 Secret Keyword"
    ]
