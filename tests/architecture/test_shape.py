"""The house keeps its shape: role names, ceilings, and one home for each library."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source import PRODUCT, ROOT, files, name, nodes, offences

SERVICES = sorted(path for path in (ROOT / "services").iterdir() if (path / "__init__.py").exists())
ROLES = {
    "__init__", "__main__", "app", "settings", "ports", "models", "consumers", "api", "pages",
    "templates", "use_cases", "domain", "repositories", "adapters", "migrations",
}  # fmt: skip
OWN_ROLES = {"executor": {"simulator"}}

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_NESTING = 3

# Which files may import a library (CONTRIBUTING.md).
HOMES = {
    "litestar": r"services/\w+/(api/|pages/|app\.py)|libs/common/web/",
    "aio_pika": r"libs/common/broker/rabbitmq",
    "aiormq": r"libs/common/broker/rabbitmq",
    "httpx2": r"services/\w+/(adapters/|app\.py)",
    "httpcore2": r"nowhere, since decision 0030",
    "httptools": r"services/executor/adapters/provider/answers\.py",
    "redis": r"services/\w+/(adapters/|app\.py)",
    "asyncpg": r"libs/ledger/",
    "sqlalchemy": r"services/\w+/(models(\.py|/)|repositories/|migrations/)"
    r"|libs/common/(database\.py|outbox\.py|migrations/)|libs/ledger/migrations/",
    "alembic": r"services/\w+/migrations/|libs/ledger/migrations/|libs/common/migrations/",
    "uvicorn": r"libs/common/web/(app|connections|server)\.py",
    "jinja2": r"services/\w+/(api/reference/|pages/)",
    "jwt": r"libs/common/tokens\.py",
    "structlog": r"libs/common/logs\.py",
    "opentelemetry": r"libs/common/tracing/otel\.py",
}
HAS_NO_PLACE = re.compile(r"(utils|helpers|misc|manager|service)(\.py)?$")


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, "." * node.level + (node.module or "")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def nesting(node: ast.AST, depth: int = 0) -> int:
    """How deep its deepest statement is; `elif` is as deep as its `if`."""
    deeper = isinstance(node, ast.If | ast.For | ast.AsyncFor | ast.While | ast.Try | ast.Match)
    depth += int(deeper)
    inner = [
        nesting(child, depth - int(is_elif(child, node)))
        for child in ast.iter_child_nodes(node)
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    return max([depth, *inner])


def is_elif(child: ast.AST, node: ast.AST) -> bool:
    return isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If)


def test_there_is_something_to_check() -> None:
    assert len(files(*PRODUCT)) > 300
    assert {path.name for path in SERVICES} == {"gateway", "executor", "accounts", "billing"}


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_service_has_no_part_with_a_name_of_its_own(service: Path) -> None:
    parts = {path.stem for path in service.iterdir() if path.name != "__pycache__"}

    assert parts <= ROLES | OWN_ROLES.get(service.name, set())


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_service_opens_with_its_charter(service: Path) -> None:
    charter = ast.get_docstring(ast.parse((service / "__init__.py").read_text())) or ""

    for line in ("Owns", "Tells", "Hears", "Asks"):
        assert re.search(rf"^{line}\s", charter, re.MULTILINE), f"{service.name}: no line {line}"


def out_of_shape(path: Path) -> Iterator[str]:
    if path.read_text().count("\n") > MAX_MODULE_LINES:
        yield f"over {MAX_MODULE_LINES} lines"
    if HAS_NO_PLACE.search(path.name):
        yield "a name that says nothing"
    for function in functions(path):
        if (function.end_lineno or 0) - function.lineno + 1 > MAX_FUNCTION_LINES:
            yield f"{function.name}: over {MAX_FUNCTION_LINES} lines"
        if nesting(function) > MAX_NESTING:
            yield f"{function.name}: nested deeper than {MAX_NESTING}"


def test_a_file_stays_small_enough_to_live_in() -> None:
    assert offences(files(*PRODUCT, "deploy", "clients"), out_of_shape) == {}


def hidden_imports(path: Path) -> Iterator[str]:
    for function in functions(path):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"line {node.lineno}: inside {function.name}"
    yield from (module for _, module in imports(path) if module.startswith("."))


def test_imports_stand_at_the_top_and_name_the_whole_path() -> None:
    assert offences(files(*PRODUCT), hidden_imports) == {}


def strangers(path: Path) -> Iterator[str]:
    for _, module in imports(path):
        library = module.partition(".")[0]
        if library in HOMES and not re.match(HOMES[library], name(path)):
            yield module


def test_a_library_is_imported_in_its_home_alone() -> None:
    assert offences(files(*PRODUCT), strangers) == {}


def looks_at_the_environment(path: Path) -> Iterator[int]:
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
            yield node.lineno


def test_only_main_reads_the_environment() -> None:
    others = [path for path in files(*PRODUCT) if path.name != "__main__.py"]

    assert offences(others, looks_at_the_environment) == {}


PLANTED = (
    "def too_deep():\n"
    "    import litestar, os\n"
    "    for a in b:\n        while c:\n            if d:\n                if e:\n"
    "                    os.environ\n"
) + "\n" * MAX_MODULE_LINES  # fmt: skip


def test_what_is_out_of_shape_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = tmp_path / "helpers.py"
    planted.write_text(PLANTED)
    monkeypatch.setattr("tests.support.source.ROOT", tmp_path)

    assert len(list(out_of_shape(planted))) == 3
    assert len(list(hidden_imports(planted))) == 1
    assert list(looks_at_the_environment(planted)) == [7]
    assert offences([planted], lambda path: [path.name]) == {"helpers.py": ["helpers.py"]}
