"""The house keeps its shape: role names, ceilings, and one home for each library."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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
    "httpcore2": r"services/\w+/adapters/",
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


def product_files() -> list[Path]:
    return sorted((*(ROOT / "libs").rglob("*.py"), *(ROOT / "services").rglob("*.py")))


def all_files() -> list[Path]:
    return sorted(
        (*product_files(), *(ROOT / "deploy").rglob("*.py"), *(ROOT / "clients").rglob("*.py"))
    )


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, "." * node.level + (node.module or "")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def nesting(node: ast.AST, depth: int = 0) -> int:
    deeper = isinstance(node, ast.If | ast.For | ast.AsyncFor | ast.While | ast.Try | ast.Match)
    is_elif = isinstance(node, ast.If) and getattr(node, "is_elif", False)
    depth += int(deeper and not is_elif)
    if isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        node.orelse[0].is_elif = True  # type: ignore[attr-defined]
    inner = [
        nesting(child, depth)
        for child in ast.iter_child_nodes(node)
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    return max([depth, *inner])


def test_there_is_something_to_check() -> None:
    assert len(product_files()) > 50
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


@pytest.mark.parametrize("path", all_files(), ids=name)
def test_a_file_stays_small_enough_to_live_in(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    long = [
        function.name
        for function in functions(tree)
        if (function.end_lineno or 0) - function.lineno + 1 > MAX_FUNCTION_LINES
    ]
    deep = [function.name for function in functions(tree) if nesting(function) > MAX_NESTING]

    assert text.count("\n") <= MAX_MODULE_LINES
    assert long == []
    assert deep == []
    assert not HAS_NO_PLACE.search(path.name)


@pytest.mark.parametrize("path", product_files(), ids=name)
def test_imports_stand_at_the_top_and_name_the_whole_path(path: Path) -> None:
    tree = ast.parse(path.read_text())
    inside = [
        node.lineno
        for function in functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert inside == []
    assert [module for _, module in imports(tree) if module.startswith(".")] == []


@pytest.mark.parametrize("path", product_files(), ids=name)
def test_a_library_is_imported_in_its_home_alone(path: Path) -> None:
    strangers = [
        module
        for _, module in imports(ast.parse(path.read_text()))
        for library in [module.partition(".")[0]]
        if library in HOMES and not re.match(HOMES[library], name(path))
    ]

    assert strangers == []


@pytest.mark.parametrize("path", product_files(), ids=name)
def test_only_main_reads_the_environment(path: Path) -> None:
    if path.name == "__main__.py":
        return
    reads = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]

    assert reads == []
