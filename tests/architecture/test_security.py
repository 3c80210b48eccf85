"""docs/security.md: all 88 rules, each with code, and with checks that exist or a reason."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import pytest

from tests.support.source import ROOT, functions_in

DOCUMENT: Final = ROOT / "docs" / "security.md"
RULES: Final = 88
_HEAD: Final = re.compile(
    r"(\d+) rows: (\d+) are held by an automatic check, (\d+) are not, and say why\."
    r" Of the (\d+), (\d+) leave\s+something open"
)


class Row(NamedTuple):
    """One rule: where it is kept, what would notice that it is not, and what nothing notices."""

    number: int
    rule: str
    code: tuple[str, ...]
    checks: tuple[str, ...]
    is_open: bool


def rows() -> Iterator[Row]:
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
        if not re.match(r"\| \d+ \|", line):
            continue
        number, rule, code, checks, is_open = cells
        paths = re.findall(r"`([\w./-]+)`", code)
        named = tuple(re.findall(r"`([^`]+)`", checks))
        yield Row(int(number), rule, tuple(paths), named, bool(is_open))


ROWS: Final = tuple(rows())


@cache
def lint() -> dict[str, list[str]]:
    """Ruff's codes that do not hold: by glob, and everywhere under `**`."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert settings["select"] == ["ALL"]
    return {"**": settings["ignore"], **settings["per-file-ignores"]}


@cache
def steps() -> str:
    """What `make check` runs."""
    makefile = (ROOT / "Makefile").read_text()
    return makefile.partition("\ncheck:")[2].partition("\n\n")[0]


def is_there(check: str) -> bool:
    """Whether `make check` or `make test` comes to it."""
    if check.startswith("ruff "):
        code = check.removeprefix("ruff ")
        everywhere = any(code.startswith(ignored) for ignored in lint()["**"])
        return bool(re.fullmatch(r"S\d{3}", code)) and "ruff check ." in steps() and not everywhere
    path, _, function = check.partition("::")
    if not (ROOT / path).is_file() or function not in functions_in(path):
        return False
    if path.startswith("tests/"):
        return function.startswith("test_")
    module = re.sub(r"(/__init__|/\w+)?\.py$", "", path) if "/manifests/" in path else path[:-3]
    return path.startswith("deploy/checks/") and module.replace("/", ".") in steps()


def test_every_rule_has_its_row_once() -> None:
    assert [row.number for row in ROWS] == list(range(1, RULES + 1))
    assert len({row.rule for row in ROWS}) == RULES


def test_the_figures_are_those_of_the_table() -> None:
    told = _HEAD.search(DOCUMENT.read_text())
    assert told

    checked = [row for row in ROWS if row.checks]
    part = [row for row in checked if row.is_open]
    figures = [len(ROWS), len(checked), RULES - len(checked), len(checked), len(part)]
    assert [int(one) for one in told.groups()] == figures


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_rule_names_code_and_checks_that_exist(row: Row) -> None:
    assert row.code
    assert [path for path in row.code if not (ROOT / path).is_file()] == []
    assert [check for check in row.checks if not is_there(check)] == []


def test_what_nothing_checks_says_why() -> None:
    assert [row.number for row in ROWS if not row.checks and not row.is_open] == []


@pytest.mark.parametrize(
    "check",
    [
        "ruff COM812",
        "ruff S",
        "tests/unit/nowhere.py::test_nothing",
        "tests/architecture/test_security.py::test_that_never_was",
        "tests/architecture/test_security.py::rows",
        "libs/common/ids.py::new_id",
        "deploy/checks/leaks.py::nothing",
    ],
)
def test_a_check_that_is_none_is_noticed(check: str) -> None:
    assert not is_there(check)


def test_what_static_analysis_leaves_out_is_no_rule_of_security() -> None:
    """Ruff's S rules hold everywhere; where one does not, it is named here."""
    left_out = {
        (glob, code)
        for glob, codes in lint().items()
        for code in codes
        if re.match(r"S(\d|$)", code)
    }
    assert left_out == {
        ("tests/**", "S101"),
        ("tests/**", "S105"),
        ("tests/**", "S106"),
        ("libs/ledger/*.py", "S608"),
    }
