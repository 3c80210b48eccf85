"""Every change that can be audited is audited by something, and people can find it."""

import ast
from pathlib import Path

import pytest

from services.accounts.domain import audit
from services.accounts.domain.audit import Change, Group, changes_of

ACCOUNTS = Path(__file__).parents[2] / "services" / "accounts"


def changes_written() -> set[str]:
    """The names of Change's members in the use cases."""
    return {
        node.attr
        for path in (ACCOUNTS / "use_cases").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Change"
    }


@pytest.mark.parametrize("change", Change, ids=lambda change: change.value)
def test_some_use_case_writes_it(change: Change) -> None:
    assert change.name in changes_written()


def test_every_change_is_in_one_group() -> None:
    grouped = [change for group in Group for change in changes_of(group)]

    assert sorted(grouped) == sorted(Change)
    assert all(changes_of(group) for group in Group)


def test_a_change_is_named_like_an_event() -> None:
    for change in Change:
        subject, dot, happened = change.partition(".")
        assert (bool(subject), dot, bool(happened)) == (True, ".", True)
        assert len(change) <= 60  # the column's width


def test_the_names_of_actors_are_nobodys_id() -> None:
    names = (audit.OPERATOR.id, audit.SYSTEM.id, audit.NOBODY)

    assert len(set(names)) == 3
    assert not any("_" in name for name in names)
