"""Whatever README and docs tell a reader to type is run by a test, or stands here with a reason."""

import ast
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from deploy.keys import commands as keys
from deploy.operator import table
from services.accounts.api import commands as of_accounts
from services.billing.api import commands as of_billing
from tests.support.documents import (
    PROGRAM_PAGES,
    ROOT,
    SHELL_PAGES,
    Block,
    all_blocks,
)

RUN: Final = "tests/e2e/test_documents.py"
RUNBOOK: Final = "tests/integration/common/test_runbook.py"

ALL_RUN: Final = {
    **{(page, "sh"): f"{RUN}::test_what_a_shell_is_told_works" for page in SHELL_PAGES},
    **{(page, "python"): f"{RUN}::test_a_program_works" for page in PROGRAM_PAGES},
    ("docs/runbook.md", "sql"): f"{RUNBOOK}::test_every_block_says_which_database_it_is_for",
}
"""A page's blocks in one language, and the test that runs every one of them, new ones too."""

_DRAWING: Final = "a drawing"
_PARSED: Final = "its commands are parsed below; what they do is tested with their services"
_CLUSTER: Final = "needs a cluster or an engine; the files it names are there (below)"
_NODE: Final = "the same calls run in tests/e2e/signed_client.mjs"
NOT_RUN: Final = {
    ("docs/api.md", "json"): (1, "an answer; tests/contract/test_public_shapes.py has its shape"),
    ("docs/architecture.md", ""): (1, _DRAWING),
    ("docs/billing.md", ""): (2, _PARSED),
    ("docs/kubernetes.md", ""): (1, _DRAWING),
    ("docs/kubernetes.md", "sh"): (7, _CLUSTER),
    ("docs/operations.md", "console"): (3, _PARSED),
    ("docs/operations.md", "sh"): (1, _PARSED),
    ("docs/operations.md", "sql"): (1, "a restore by hand, with a gap for the accounts' ids"),
    ("docs/request-lifecycle.md", ""): (1, _DRAWING),
    ("docs/runbook.md", "sh"): (10, f"{RUNBOOK} runs what is RabbitMQ's and parses what is ours"),
    ("docs/guides/signing.md", ""): (1, "the signed text; tests/contract/clients has vectors"),
    ("docs/guides/signing.md", "js"): (1, _NODE),
    ("docs/guides/waiting.md", "js"): (1, _NODE),
    ("bench/README.md", ""): (1, "takes minutes; its targets are looked up below"),
    ("clients/js/README.md", "js"): (2, _NODE),
    ("clients/python/README.md", "sh"): (1, "installs from a registry"),
}
"""How many blocks of a page and language no test runs, and why."""

BLOCKS: Final = all_blocks()
PARSERS: Final = {
    "services.accounts": of_accounts.parser,
    "services.billing": of_billing.parser,
    "deploy.keys": keys.parser,
    "reqrun": table.parser,
}
ROLES: Final = {"web", "worker", "migrate", "dispatcher", "simulator"}
_REQRUN: Final = re.compile(r"^(?:\$ |.*\| )?reqrun ([a-z][^#\n|<>;]*)", re.MULTILINE)
_COMMAND: Final = re.compile(r"python -m ((?:services|deploy)\.\w+) ([^#\n|<>;]+)")


def commands() -> list[tuple[str, str]]:
    """Module and words, of all blocks."""
    texts = [block.text.replace("\\\n", " ") for block in BLOCKS]
    of_reqrun = [("reqrun", words) for text in texts for words in _REQRUN.findall(text)]
    found = [(m[1], m[2]) for text in texts for m in _COMMAND.finditer(text)] + of_reqrun
    return sorted({(module, words.strip()) for module, words in found if module in PARSERS})


def test_every_block_is_run_or_its_reason_is_here() -> None:
    """A new block: run it in one of these tests, or say here why nobody can."""
    counted: dict[tuple[str, str], int] = {}
    for block in BLOCKS:
        where = (block.page, block.language)
        counted[where] = counted.get(where, 0) + 1

    assert not ALL_RUN.keys() & NOT_RUN.keys()
    assert {where: n for where, n in counted.items() if where not in ALL_RUN} == {
        where: count for where, (count, _) in NOT_RUN.items()
    }
    assert ALL_RUN.keys() - counted.keys() == set()


@pytest.mark.parametrize("named", sorted(set(ALL_RUN.values())))
def test_the_test_that_is_named_is_there(named: str) -> None:
    path, _, name = named.partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))

    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("module", "words"), commands(), ids=[" ".join(one) for one in commands()])
def test_a_command_is_one_that_there_is(module: str, words: str) -> None:
    typed = [word for word in shlex.split(words) if word not in {"[--dry-run]", "[--json]", "\\"}]
    if typed[0] in ROLES or typed == ["$@"]:
        return

    assert PARSERS[module]().parse_args(typed) is not None


def test_what_a_shell_gets_is_a_shells() -> None:
    for block in BLOCKS:
        if block.language == "sh":
            read = subprocess.run(["sh", "-n"], input=block.text, text=True, check=False)  # noqa: S607
            assert read.returncode == 0, (block.page, block.line)


def test_make_knows_what_it_is_told() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    told = {m for block in BLOCKS for m in re.findall(r"^make (\w+)", block.text, re.MULTILINE)}

    assert len(told) > 3
    assert told <= targets


def test_files_that_kubectl_is_given_are_there() -> None:
    named = {
        path for block in BLOCKS for path in re.findall(r"apply -[fk] (deploy\S+)", block.text)
    }

    assert len(named) > 3
    assert {path for path in named if not (ROOT / path).exists()} == set()


def links(page: Path) -> set[str]:
    """Paths that a page leads to, without what is elsewhere on the web."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    return {
        target.partition("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not target.startswith(("http", "#"))
    }


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_a_link_leads_somewhere(page: Path) -> None:
    assert {link for link in links(page) if not (page.parent / link).exists()} == set()


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link).resolve() for link in links(index)}
    pages = set((ROOT / "docs").glob("*.md")) | set((ROOT / "docs" / "guides").glob("*.md"))

    assert pages - listed == {index}


def test_a_page_shows_blocks_only_in_ways_that_are_seen_here() -> None:
    """A fence that is indented or of tildes would be looked at by no test."""
    lines = [line for page in ROOT.glob("docs/**/*.md") for line in page.read_text().splitlines()]

    assert [line for line in lines if re.match(r"(\s+```|\s*~~~)", line)] == []


def test_blocks_are_found() -> None:
    assert len(BLOCKS) > 50
    assert all(isinstance(block, Block) and block.text.strip() for block in BLOCKS)
