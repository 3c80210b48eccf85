from pathlib import Path

import pytest
from packaging.version import Version

from deploy.checks import advisories, leaks
from deploy.checks.advisories import FLOORS, Advisory, Package, Report, pinned, verdict
from deploy.checks.leaks import Finding, Scan, unlisted

ROOT = Path(__file__).parents[3]
LOCKS = ("requirements.lock", "requirements-dev.lock")

UNKNOWN = Package("a", skip_reason="not found")
GOOD = Package("b", "1.0")
BAD = Package("c", "2.0", [Advisory("PYSEC-2026-1")])


def test_an_audit_that_looked_up_nothing_says_so_in_capitals() -> None:
    for report in (Report(), Report([UNKNOWN])):
        may_go_on, text = verdict("some.lock", report)
        assert may_go_on
        assert text.startswith("SKIPPED")


def test_where_a_look_up_is_required_none_is_a_failure() -> None:
    for report in (Report(), Report([UNKNOWN])):
        may_go_on, text = verdict("some.lock", report, is_required=True)
        assert not may_go_on
        assert "WAS NOT LOOKED UP" in text


def test_a_lock_that_locks_nothing_fails() -> None:
    assert advisories.known("empty.lock", "# nothing\n") == (False, "empty.lock: locks nothing")
    assert advisories.main([]) == 1


def test_a_version_that_is_known_to_be_weak_fails_without_a_look_up() -> None:
    is_good, text = advisories.known(
        "some.lock", "litestar==2.24.9 \\\n    --hash=x\njinja2==3.1.6\n"
    )
    assert not is_good
    assert "litestar 2.24.9: CVE-2025-59152" in text
    assert "jinja2" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_what_is_locked_is_not_known_to_be_weak(lock: str) -> None:
    is_good, text = advisories.known(lock, (ROOT / lock).read_text())
    assert is_good, text


def test_every_floor_is_of_something_that_is_locked() -> None:
    pins = pinned((ROOT / LOCKS[1]).read_text())
    assert set(FLOORS) <= set(pins)
    assert all(Version(floor) for floor, _ in FLOORS.values())


def test_a_lock_within_another_is_looked_up_with_it_and_no_lock_is_left_out() -> None:
    product, tools = {"a": "1", "b": "2"}, {"a": "1", "b": "2", "c": "3"}

    assert advisories.widest({"product": product, "tools": tools}) == ["tools"]
    assert advisories.widest({"product": product, "tools": {"a": "1", "c": "3"}}) == [
        "product",
        "tools",
    ]
    assert advisories.widest({"product": product, "same": product}) == ["product", "same"]


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


def test_a_scan_of_nothing_fails() -> None:
    assert leaks.verdict([], [], is_awake=True) == (False, "no file was scanned")


def test_a_scanner_that_sees_nothing_fails() -> None:
    may_go_on, text = leaks.verdict(["a.py"], [], is_awake=False)
    assert not may_go_on
    assert "NOTHING WAS CHECKED" in text


def test_an_unknown_secret_fails_and_a_clean_scan_says_how_much_it_saw() -> None:
    assert leaks.verdict(["a.py"], ["a.py:1 X"], is_awake=True) == (False, "a.py:1 X")
    assert leaks.verdict(["a.py"], [], is_awake=True) == (True, "no unknown secret in 1 files")


def test_the_scanner_sees_what_is_planted_and_nothing_in_a_sentence() -> None:
    assert leaks.sees(leaks.PLANTED)
    assert not leaks.sees("A sentence.")


def test_a_clean_file_is_scanned_once_and_again_when_it_changed(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    clean, dirty = tmp_path / "clean.txt", tmp_path / "dirty.txt"
    clean.write_text("A sentence.\n")
    dirty.write_text(f"{leaks.PLANTED}\n")

    def found() -> set[str]:
        return set(leaks.scan_changed([clean.name, dirty.name], tmp_path, memory).results)

    assert found() == found() == {"dirty.txt"}  # what is found is never remembered away
    assert len(memory.read_text().split()) == 1
    clean.write_text(f"{leaks.PLANTED}\n")
    assert found() == {"clean.txt", "dirty.txt"}
    clean.write_text("A sentence.\n")
    dirty.write_text("Another.\n")
    assert found() == set()


def test_every_committed_file_but_the_locks_is_scanned() -> None:
    scanned = leaks.files()
    assert len(scanned) > 900
    assert {"pyproject.toml", "deploy/checks/leaks.py", "README.md"} <= set(scanned)
