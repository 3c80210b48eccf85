"""The dashboard's code: what a page may do, and what a browser is never told to do."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
ACCOUNTS: Final = ROOT / "services" / "accounts"
PAGES: Final = {path.stem: path for path in sorted((ACCOUNTS / "pages").glob("*.py"))}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(page: str) -> ast.Module:
    return ast.parse(PAGES[page].read_text())


def functions(node: ast.AST) -> Iterator[Function]:
    return (
        one for one in ast.walk(node) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@cache
def imports(page: str) -> dict[str, str]:
    """What a name of this file is, in full."""
    return {
        one.asname or one.name: f"{node.module}.{one.name}"
        for node in ast.walk(tree(page))
        if isinstance(node, ast.ImportFrom)
        for one in node.names
    }


def handlers(page: str, method: str) -> Iterator[Function]:
    for found in functions(tree(page)):
        made_by = [one.func for one in found.decorator_list if isinstance(one, ast.Call)]
        if any(isinstance(one, ast.Name) and one.id == method for one in made_by):
            yield found


def used(page: str, node: ast.AST, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Every use case that `node` names, or a function of the pages that it names."""
    for one in ast.walk(node):
        full = ""
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name):
            full = f"{imports(page).get(one.value.id, '')}.{one.attr}"
        elif isinstance(one, ast.Name):
            full = imports(page).get(one.id, f"services.accounts.pages.{page}.{one.id}")
        home, _, function = full.rpartition(".")
        if home.startswith("services.accounts.use_cases."):
            yield full.removeprefix("services.accounts.use_cases.")
        stem = home.removeprefix("services.accounts.pages.")
        if stem in PAGES and (stem, function) not in seen:
            seen.add((stem, function))
            for found in tree(stem).body:
                if isinstance(found, Function) and found.name == function:
                    yield from used(stem, found, seen)


# What a page may do because somebody looked at it: each of these only reads.
READING: Final = {
    "accounts.get",
    "accounts.is_unlimited",
    "accounts.plan_of",
    "audit.list_page",
    "billing.look",
    "billing.open_invoice",
    "billing.preview",
    "connections.find",
    "keys.list_of",
    "projects.list_of",
    "sessions.list_of",
    "support.list_of",
    "support.show",
}


def test_looking_at_a_page_changes_nothing() -> None:
    """A use case that a GET comes to is on the list above, or it is asked for by a form."""
    read = [(page, found) for page in PAGES for found in handlers(page, "get")]
    assert len(read) > 30
    reached = {name for page, found in read for name in used(page, found, set())}

    assert {name for name in reached if not name.rpartition(".")[2][0].isupper()} == READING


def test_a_page_comes_to_a_project_by_the_one_door() -> None:
    """`places.enter` looks among the visitor's own, before anything is done with an id."""
    asked = [
        (page, found)
        for page in PAGES
        for method in ("get", "post")
        for found in handlers(page, method)
        if "project_id" in {one.arg for one in found.args.args}
    ]
    assert len(asked) > 20
    door = "await enter(desk, request, project_id)"
    assert [
        f"{page}.{one.name}" for page, one in asked if door not in ast.unparse(one.body[0])
    ] == []


def test_no_address_is_made_of_what_the_caller_says_of_itself() -> None:
    """Links in mails begin with a setting: with `Host` they would lead to who asked for them."""
    told = re.compile(r"request\.(url|base_url)\b|\"(x-forwarded-)?(host|proto)\"", re.IGNORECASE)
    files = sorted(ACCOUNTS.rglob("*.py"))
    lines = [line for path in files for line in path.read_text().splitlines() if told.search(line)]

    assert len(files) > 100
    assert [line for line in lines if "``" not in line and "`request.url` fails" not in line] == []


def test_no_other_site_may_read_an_answer() -> None:
    """No service has a word about cross-origin calls: browsers then refuse them."""
    parts = [ROOT / "libs", ROOT / "services", ROOT / "deploy" / "k8s"]
    files = [
        path
        for part in parts
        for path in part.rglob("*")
        if path.suffix in {".py", ".yaml", ".html"}
    ]
    words = re.compile("access-control-|cors_config|CORSConfig|enable-cors", re.IGNORECASE)

    assert len(files) > 400
    assert [path for path in files if words.search(path.read_text())] == []


SCRIPTS: Final = [
    path for path in (ACCOUNTS / "pages" / "assets").glob("*.js") if "htmx" not in path.name
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_our_script_makes_no_markup_of_text_and_keeps_nothing(path: Path) -> None:
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
    assert re.findall(rf"{unsafe}|localStorage|sessionStorage|indexedDB", path.read_text()) == []


def test_templates_escape_everything_and_load_nothing_from_elsewhere() -> None:
    folders = (ACCOUNTS / "pages", ROOT / "services" / "gateway" / "api" / "reference")
    files = [path for folder in folders for path in folder.rglob("*.html")]
    unsafe = re.compile(
        r"[^'\s]\s*\|\s*safe\b|autoescape|<script(?![^>]*\ssrc=)|\son\w+=|\sstyle="
        r"|<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//"
    )

    assert len(SCRIPTS) == 1
    assert len(files) > 60
    letters = "pages/letters/"
    assert [
        path for path in files if letters not in path.as_posix() and unsafe.search(path.read_text())
    ] == []
