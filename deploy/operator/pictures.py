"""Answers as people read them: tables for what is listed, lines for one thing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import singledispatch
from typing import Any, Final

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.operator.doctor.check import Finding, Report, State
from deploy.operator.parked.commands import ParkedShown
from deploy.operator.parked.places import ParkedListed
from deploy.operator.requests.changing import Changed
from deploy.operator.requests.commands import RequestsFound, Story
from deploy.operator.upkeep import Reconciled, RetentionRun, RetentionShown
from libs.common.commands import render
from services.accounts.pages.rendering import duration

_MARKS: Final = {
    State.OK: "[green]✓ ok[/]",
    State.WARN: "[yellow]! warn[/]",
    State.FAIL: "[red]✗ fail[/]",
    State.SKIP: "[dim]· skip[/]",
}
_PLAIN: Final = str | int | float | bool | datetime | None
_MOST_COLUMNS: Final = 11
_COLUMNS: Final = (
    "id", "state", "attempts", "mode", "model", "project_id", "created_at", "last_error_code",
)  # fmt: skip


@singledispatch
def of(answer: Any) -> RenderableType:
    """Whatever has no picture of its own: a table where it is a list of plain things."""
    if isinstance(answer, list) and answer and _is_flat(answer):
        return listed(answer)
    return Text(render(answer, is_json=False).rstrip("\n"))


def listed(rows: Sequence[Any], names: Sequence[str] = ()) -> Table:
    """A line a thing, of these fields, or of all. An id stays in one piece, to be copied."""
    names = names or rows[0].__struct_fields__
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name.endswith(("id", "_at")))
    for row in rows:
        table.add_row(*(Text(text_of(getattr(row, name))) for name in names))
    return table


def text_of(value: Any) -> str:
    """A value in a cell."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, float):
        return f"{value:,.1f}"
    return str(value)


@of.register
def _(report: Report) -> RenderableType:
    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    for finding in report.findings:
        table.add_row(_MARKS[finding.state], finding.check, _said(finding))
    counts = ", ".join(f"{count} {state}" for state, count in report.counts.items() if count)
    verdict = "[green]All is well[/]" if report.is_good else "[red]Something is wrong[/]"
    return Group(table, Text.from_markup(f"\n{verdict}: {counts}"))


@of.register
def _(found: RequestsFound) -> RenderableType:
    if not found.requests:
        return Text("No request is like that.")
    more = Text(f"\nMore: --before {found.before}", style="dim") if found.before else Text("")
    return Group(listed(found.requests, _COLUMNS), more)


@of.register
def _(story: Story) -> RenderableType:
    lines = Table.grid(padding=(0, 2))
    lines.add_row(Text(story.request.id, style="bold"), Text(_about(story)))
    for moment in story.moments:
        text = Text(moment.title)
        text.append(f"\n{moment.text}" if moment.text else "", style="dim")
        for name, value in moment.facts:
            text.append(f"\n{name}: {value}", style="dim")
        lines.add_row(text_of(moment.at) if moment.at else "", text)
    return lines


def _about(story: Story) -> str:
    request = story.request
    return f"{request.state}, {request.mode}, {request.model}, {story.project_id}"


@of.register
def _(changed: Changed) -> RenderableType:
    if not changed.requests:
        return Text(f"There is nothing to {changed.verb}.")
    said = f"{changed.done} done, {changed.refused} refused, of {changed.found}."
    if changed.is_dry_run:
        said = f"Would {changed.verb} {changed.found}. Nothing was done: say it again with --yes."
    return Group(listed(changed.requests), Text(f"\n{said}"))


@of.register(RetentionShown)
@of.register(RetentionRun)
def _(told: RetentionShown | RetentionRun) -> RenderableType:
    parts: list[RenderableType] = []
    for name, rows in told.databases.items():
        parts += [Text(f"{name}", style="bold"), listed(list(rows)), Text("")]
    return Group(*parts, *_failures(told.failed))


@of.register
def _(told: Reconciled) -> RenderableType:
    parts: list[RenderableType] = []
    for name, part in (("ledger's counters that differ", told.counters), ("usage", told.usage)):
        if part is not None:
            parts += [Text(name, style="bold"), Text(render(part, is_json=False))]
    return Group(*parts, *_failures(told.failed))


@of.register
def _(told: ParkedListed) -> RenderableType:
    nothing = Text("Nothing lies anywhere.")
    return Group(listed(told.lying) if told.lying else nothing, *_failures(told.failed))


@of.register
def _(told: ParkedShown) -> RenderableType:
    return listed(told.messages) if told.messages else Text("Nothing is parked there.")


def _failures(failed: Mapping[str, str]) -> list[RenderableType]:
    return [Text(f"✗ {name}: {why}", style="red") for name, why in failed.items()]


def _said(finding: Finding) -> Text:
    said = Text(finding.says)
    if finding.do:
        said.append(f"\n→ {finding.do}", style="dim")
    return said


def _is_flat(rows: list[Any]) -> bool:
    names = getattr(rows[0], "__struct_fields__", ())
    values = (getattr(row, name) for row in rows for name in names)
    return (
        isinstance(rows[0], msgspec.Struct)
        and len(names) <= _MOST_COLUMNS
        and all(isinstance(value, _PLAIN) and "\n" not in str(value) for value in values)
    )
