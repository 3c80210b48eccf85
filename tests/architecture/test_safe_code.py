"""What can be seen in the code alone: rules of docs/security.md that need no server."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.source import PRODUCT, ROOT, files, name, offences, tree

OURS: Final = files(*PRODUCT)
METHODS: Final = {"get", "post", "put", "patch", "delete"}


def calls(node: ast.AST) -> Iterator[ast.Call]:
    return (one for one in ast.walk(node) if isinstance(one, ast.Call))


def said(node: ast.expr) -> str:
    """The last word of `a.b.c`, or of a name; nothing of anything else."""
    return getattr(node, "attr", getattr(node, "id", ""))


def option(call: ast.Call, keyword: str) -> object:
    """The constant that is given for it; None where there is none."""
    given = (one.value for one in call.keywords if one.arg == keyword)
    return next((one.value for one in given if isinstance(one, ast.Constant)), None)


def test_there_is_something_to_check() -> None:
    assert len(OURS) > 300


# What is compared here was not sent by anybody: both sides come from our own database.
STORED: Final = {
    "services/accounts/use_cases/key_contexts.py",
    "services/accounts/use_cases/recovery.py",
    "services/accounts/use_cases/sessions.py",
}
SECRET: Final = re.compile(r"(^|_)(digest|signature|mac|token|secret|password|hash)s?$")


def open_comparisons(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, *node.comparators]
            is_empty = any(isinstance(one, ast.Constant) and not one.value for one in sides)
            if not is_empty and any(SECRET.search(said(one)) for one in sides):
                yield ast.unparse(node)


def test_nothing_secret_is_compared_letter_by_letter() -> None:
    """`hmac.compare_digest` takes as long for a good guess. In SQL, a digest is an index key."""
    judged = [p for p in OURS if name(p) not in STORED and "repositories" not in p.parts]

    assert offences(judged, lambda path: open_comparisons(tree(path))) == {}


def test_such_a_comparison_would_be_seen() -> None:
    planted = ast.parse("if given.digest == expected: pass\nif token != other: pass")
    assert len(list(open_comparisons(planted))) == 2


# The order of pauses and of hints; nobody gains by guessing it.
CHANCE: Final = {
    "libs/common/broker/rabbitmq/burst.py",
    "libs/common/pauses.py",
    "services/executor/app.py",
    "services/executor/ports.py",
    "services/executor/simulator/wire.py",
}


def test_what_can_be_guessed_makes_no_secret() -> None:
    """Neither `random` nor a UUID: secrets come from `secrets` and `os.urandom`."""
    found = {
        name(path)
        for path in OURS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in ([getattr(node, "module", None)] + [one.name for one in node.names])
        if module in {"random", "uuid"}
    }
    assert found == CHANCE


def test_passwords_are_hashed_beside_the_event_loop_alone() -> None:
    """By the few threads of hashing.py: each hash takes 19 MiB and a core."""
    hashing = {"hash_password", "is_password", "verify_phc_encoded", "derive_phc_encoded"}
    users = {
        name(path)
        for path in (ROOT / "services").rglob("*.py")
        for call in calls(tree(path))
        if said(call.func) in hashing and not ast.unparse(call.func).startswith("hashing.")
    }
    assert users == {
        "services/accounts/domain/passwords.py",
        "services/accounts/use_cases/hashing.py",
    }


def test_a_database_that_was_just_made_knows_nobody() -> None:
    """No migration puts in a person, an account or a key."""
    moved = sorted((ROOT / "services" / "accounts" / "migrations" / "versions").glob("*.py"))
    into = re.compile(
        r"insert\s+into\s+(people|accounts|api_keys|sessions)|bulk_insert", re.IGNORECASE
    )
    assert len(moved) > 5
    assert [name(path) for path in moved if into.search(path.read_text())] == []


def test_nothing_runs_in_debug() -> None:
    found = [
        name(path)
        for path in OURS
        for call in calls(tree(path))
        if option(call, "debug") or option(call, "pdb_on_exception")
    ]
    assert found == []


def test_no_client_goes_where_it_is_redirected_to() -> None:
    """Nor where a proxy of the environment would lead it."""
    clients = {
        name(path): (option(call, "follow_redirects"), option(call, "trust_env"))
        for path in OURS
        for call in calls(tree(path))
        if said(call.func) in {"AsyncClient", "Client"}
    }
    assert len(clients) == 4
    assert set(clients.values()) == {(False, False)}


def unguarded(path: Path) -> list[str]:
    """Routes that nobody guards: neither they themselves nor the router they are in."""
    module = tree(path)
    routers = [call for call in calls(module) if said(call.func) == "Router"]
    if routers and all(any(one.arg == "guards" for one in call.keywords) for call in routers):
        return []
    return [
        found.name
        for found in ast.walk(module)
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
        for call in found.decorator_list
        if isinstance(call, ast.Call) and said(call.func) in METHODS
        if not any(one.arg == "guards" for one in call.keywords)
    ]


# Open to everybody: Paddle signs; the public API has its own entrance; health says yes or no.
OPEN: Final = {"services/billing/api/webhooks.py", "libs/common/web/health.py"}


def test_every_question_between_services_has_a_guard() -> None:
    """Outside the pages, which have a walk of their own, each handler shows whom it takes."""
    routed = {
        path: unguarded(path)
        for path in OURS
        if "pages" not in path.parts
        and any(
            isinstance(node, ast.ImportFrom)
            and node.module == "litestar"
            and METHODS & {one.name for one in node.names}
            for node in ast.walk(tree(path))
        )
    }
    assert len(routed) >= 7
    assert {name(path) for path, open_ in routed.items() if open_} == OPEN


def test_every_package_is_locked_with_its_hashes() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
        assert len(entries) > 20
        bare = [
            one
            for one in entries
            if not re.search(r"^[\w.-]+==\S+.*--hash=sha256:", one, re.DOTALL)
        ]
        assert bare == []
