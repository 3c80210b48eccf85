"""Log lines: a constant for what happened, and fields that are on the list; nothing else prints."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from libs.common.logs import ALLOWED

ROOT: Final = Path(__file__).parents[2]
FILES: Final = sorted((*(ROOT / "libs").rglob("*.py"), *(ROOT / "services").rglob("*.py")))
LEVELS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
# Told to the logger itself, which makes of them what may be told.
ABOUT_THE_ERROR: Final = frozenset({"exc_info"})
MAY_PRINT: Final = re.compile(
    r"services/\w+/(__main__|api/(\w+_)?commands)\.py|libs/common/(logs|runtime)\.py"
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines(path: Path) -> Iterator[ast.Call]:
    """Calls of `log`, the logger of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level)):
                if level in LEVELS:
                    yield node


def test_there_is_something_to_check() -> None:
    assert sum(1 for path in FILES for _ in lines(path)) > 60


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_line_has_no_field_that_would_be_dropped(path: Path) -> None:
    given = {keyword.arg for call in lines(path) for keyword in call.keywords}

    assert given - ALLOWED - ABOUT_THE_ERROR == set()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_happened_is_a_constant_and_no_text_with_values(path: Path) -> None:
    texts = [
        ast.unparse(call)
        for call in lines(path)
        if len(call.args) != 1 or not isinstance(call.args[0], ast.Name | ast.Attribute)
    ]

    assert texts == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_else_writes_to_standard_output_or_to_a_logger_of_its_own(path: Path) -> None:
    if MAY_PRINT.fullmatch(name(path)):
        return
    found = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and re.match(
            r"print$|sys\.std(out|err)\.|logging\.|warnings\.warn$", ast.unparse(node.func)
        )
    ]

    assert found == []
