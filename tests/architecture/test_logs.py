"""Log lines: a constant for what happened, and fields that are on the list; nothing else prints."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from libs.common.logs import ALLOWED
from tests.support.source import PRODUCT, files, name, nodes, offences

FILES: Final = files(*PRODUCT)
LEVELS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
# Told to the logger itself, which makes of them what may be told.
ABOUT_THE_ERROR: Final = frozenset({"exc_info"})
MAY_PRINT: Final = re.compile(
    r"services/\w+/(__main__|api/(\w+_)?commands)\.py|libs/common/(logs|runtime)\.py"
)
PRINTS: Final = re.compile(r"print$|sys\.std(out|err)\.|logging\.|warnings\.warn$")


def lines(path: Path) -> Iterator[ast.Call]:
    """Calls of `log`, the logger of a module."""
    for node in nodes(path):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level)):
                if level in LEVELS:
                    yield node


def test_there_is_something_to_check() -> None:
    assert sum(1 for path in FILES for _ in lines(path)) > 60


def dropped(path: Path) -> set[str | None]:
    given = {keyword.arg for call in lines(path) for keyword in call.keywords}
    return given - ALLOWED - ABOUT_THE_ERROR


def test_a_line_has_no_field_that_would_be_dropped() -> None:
    assert offences(FILES, dropped) == {}


def texts(path: Path) -> Iterator[str]:
    for call in lines(path):
        if len(call.args) != 1 or not isinstance(call.args[0], ast.Name | ast.Attribute):
            yield ast.unparse(call)


def test_what_happened_is_a_constant_and_no_text_with_values() -> None:
    assert offences(FILES, texts) == {}


def prints(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Call) and PRINTS.match(ast.unparse(node.func)):
            yield ast.unparse(node)


def test_nothing_else_writes_to_standard_output_or_to_a_logger_of_its_own() -> None:
    others = [path for path in FILES if not MAY_PRINT.fullmatch(name(path))]

    assert offences(others, prints) == {}


def test_such_lines_would_be_seen(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("log.info(f'{a} went', prompt=a)\nprint(a)\nlogging.getLogger()\n")

    assert dropped(planted) == {"prompt"}
    assert len(list(texts(planted))) == 1
    assert len(list(prints(planted))) == 2
