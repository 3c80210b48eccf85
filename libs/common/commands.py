"""Operator's commands: a table of them becomes a command line, an answer becomes text or JSON."""

import argparse
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

Argument = tuple[str, Mapping[str, Any]]
"""A name or flag, and what `add_argument` is told about it."""


class Command(msgspec.Struct, frozen=True):
    """One command. `call` is what the service runs; `text` says what it does, for `--help`."""

    call: Any
    text: str
    arguments: tuple[Argument, ...] = ()


def parser(
    prog: str, description: str, epilog: str, commands: Mapping[str, Command]
) -> argparse.ArgumentParser:
    """For `commands` by their words, such as `keys issue`.

    What it parses has the chosen command's `call` and `words`, and `json`, which every command
    takes.
    """
    top = argparse.ArgumentParser(prog=prog, description=description, epilog=epilog)
    branches: dict[str, Any] = {"": top.add_subparsers(required=True, metavar="COMMAND")}
    for words, command in commands.items():
        group, _, verb = words.rpartition(" ")
        branch = _branch(branches, group, commands)
        leaf = branch.add_parser(verb, help=command.text, description=command.text)
        for name, options in command.arguments:
            leaf.add_argument(name, **options)
        leaf.add_argument("--json", action="store_true", help="answer as JSON, for programs")
        leaf.set_defaults(call=command.call, words=words)
    return top


def _branch(branches: dict[str, Any], words: str, commands: Mapping[str, Command]) -> Any:
    """Where the verbs of a group of commands hang; made when it is first asked for."""
    if words not in branches:
        above, _, noun = words.rpartition(" ")
        inside = [one.removeprefix(f"{words} ") for one in commands if one.startswith(f"{words} ")]
        verbs = ", ".join(dict.fromkeys(one.partition(" ")[0] for one in inside))
        group = _branch(branches, above, commands).add_parser(noun, help=verbs)
        branches[words] = group.add_subparsers(required=True, metavar="COMMAND")
    return branches[words]


def render(answer: Any, *, is_json: bool) -> str:
    """`answer` (a Struct, or a list of them) as a text that ends with a new line."""
    if is_json:
        return msgspec.json.encode(answer).decode() + "\n"
    return "\n".join(_lines(answer, indent="")) + "\n"


def _lines(answer: Any, indent: str) -> Iterator[str]:
    if isinstance(answer, list):
        yield from _list_lines(answer, indent)
        return
    names = answer.__struct_fields__
    width = max(map(len, names))
    for name in names:
        value = getattr(answer, name)
        if isinstance(value, list | msgspec.Struct):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            # What people wrote may have several lines: none of them begins where a name would.
            text = _text(value).replace("\n", "\n" + " " * (len(indent) + width + 2))
            yield f"{indent}{name:<{width}}  {text}"


def _list_lines(items: list[Any], indent: str) -> Iterator[str]:
    if not items:
        yield f"{indent}none"
    for number, item in enumerate(items):
        if number:
            yield ""
        yield from _lines(item, indent)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)
