"""Our own code as trees: what tests/architecture read, each file parsed once."""

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = ("libs", "services")


def files(*folders: str) -> list[Path]:
    """Every Python file below these folders of the repository, by name."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    """Its path in the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """Shared by all who ask: nobody may change it."""
    return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file."""
    return tuple(ast.walk(tree(path)))


@cache
def functions_in(path: str) -> frozenset[str]:
    """The names of those that stand at the top of a file, by its path in the repository."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(one.name for one in tree(ROOT / path).body if isinstance(one, functions))


def offences(
    paths: Iterable[Path], find: Callable[[Path], Iterable[object]]
) -> dict[str, list[object]]:
    """What `find` finds in each file, without the files in which it finds nothing."""

    def each() -> Iterator[tuple[str, list[object]]]:
        for path in paths:
            if found := list(find(path)):
                yield name(path), found

    return dict(each())
