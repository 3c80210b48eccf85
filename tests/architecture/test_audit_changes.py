"""Every change that can be audited is audited by something, and people can find it."""

import ast

from services.accounts.domain import audit
from services.accounts.domain.audit import Change, Group, changes_of
from tests.support.source import files, nodes


def changes_written() -> set[str]:
    """The names of Change's members in the use cases."""
    return {
        node.attr
        for path in files("services/accounts/use_cases")
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Change"
    }


def test_some_use_case_writes_each() -> None:
    assert {change.name for change in Change} - changes_written() == set()


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
