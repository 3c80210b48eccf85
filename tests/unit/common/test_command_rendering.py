"""Answers of operator's commands, for people and for programs."""

from datetime import UTC, datetime

import msgspec

from libs.common.commands import Command, parser, render


class Leaf(msgspec.Struct):
    id: str
    is_good: bool
    at: datetime | None


class Tree(msgspec.Struct):
    name: str
    leaf: Leaf
    leaves: list[Leaf]


LEAF = Leaf("a", is_good=True, at=datetime(2026, 3, 14, 9, 26, 53, 5, tzinfo=UTC))


def test_people_get_aligned_lines() -> None:
    tree = Tree("oak", LEAF, [LEAF, Leaf("b", is_good=False, at=None)])

    assert render(tree, is_json=False).splitlines() == [
        "name    oak",
        "leaf",
        "  id       a",
        "  is_good  yes",
        "  at       2026-03-14 09:26:53+00:00",
        "leaves",
        "  id       a",
        "  is_good  yes",
        "  at       2026-03-14 09:26:53+00:00",
        "",
        "  id       b",
        "  is_good  no",
        "  at       -",
    ]


def test_what_has_several_lines_imitates_no_other_value() -> None:
    leaf = Leaf("a\nis_good  yes", is_good=False, at=None)

    assert render([leaf], is_json=False).splitlines()[:3] == [
        "id       a",
        "         is_good  yes",
        "is_good  no",
    ]


def test_an_empty_list_says_so() -> None:
    assert render([], is_json=False) == "none\n"


def test_programs_get_one_line_of_json() -> None:
    leaf = Leaf("a", is_good=False, at=None)

    assert render([leaf], is_json=True) == '[{"id":"a","is_good":false,"at":null}]\n'


def test_a_table_of_commands_becomes_a_command_line() -> None:
    commands = {
        "oaks plant": Command("plant", "plant one", (("--depth", {"type": int}),)),
        "water": Command("water", "water all"),
    }
    line = parser("garden", "Keep trees.", "", commands)

    given = line.parse_args(["oaks", "plant", "--depth", "3", "--json"])

    assert (given.call, given.depth, given.json) == ("plant", 3, True)
    assert line.parse_args(["water"]).call == "water"


def test_a_group_names_its_commands() -> None:
    """Of each once, however deep they go on."""
    named = ("keys issue", "keys material check", "keys material init", "doctor")
    told = parser("x", "", "", {words: Command(None, "does it") for words in named}).format_help()

    assert [line.split(maxsplit=1) for line in told.splitlines() if line.startswith("    ")] == [
        ["keys", "issue, material"],
        ["doctor", "does it"],
    ]
