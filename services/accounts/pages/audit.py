"""What was done to the account: by whom, from where, when; to look at and to take along."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from services.accounts.domain.audit import BILLING, NOBODY, OPERATOR, SYSTEM, Filter, Group
from services.accounts.domain.errors import FieldErrors, ProjectNotFound
from services.accounts.domain.forms import Fields
from services.accounts.models import AuditEvent, Project
from services.accounts.pages import downloads
from services.accounts.pages.audit_words import GROUPS, words_of
from services.accounts.pages.forms import Form
from services.accounts.pages.visits import AnyRequest, Desk, Visit
from services.accounts.ports import Ports
from services.accounts.use_cases import audit, projects

_DAY: Final = timedelta(days=1)
_DIGITS: Final = 18  # of an entry's number: it is a bigint
_NOBODYS: Final = -1  # no entry has this number, and nothing is before it
_OTHERS: Final = {
    OPERATOR.id: "the operator",
    SYSTEM.id: "ReqRun by itself",
    BILLING.id: "billing",
    NOBODY: "somebody who was not let in",
}
_FILTERS: Final = ("group", "project", "since", "until")

Write = Callable[[Ports, str, Filter], AsyncIterator[bytes]]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One entry for people. `subject`: the id of what it was done to."""

    at: datetime
    text: str
    detail: str
    group: str
    who: str
    network: str
    project: str
    subject: str


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/audit` and its two files."""

    @get("/audit")
    async def show(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)
        owned = await projects.list_of(visit.ports, visit.person.account_id)
        form = _asked(visit)
        try:
            wish = _filter(form, owned)
        except FieldErrors as wrong:
            return await _show(visit, form.failed(wrong), owned, audit.Page((), None))
        before = _number(request.query_params.get("before", ""))
        account_id = visit.person.account_id
        page = await audit.list_page(visit.ports, account_id, wish, before)
        return await _show(visit, form, owned, page)

    return [
        show,
        _file(desk, "csv", "text/csv", audit.export_csv),
        _file(desk, "json", "application/json", audit.export_json),
    ]


def _file(desk: Desk, ending: str, media_type: str, write: Write) -> HTTPRouteHandler:
    @get(f"/audit/export.{ending}", name=f"audit.{ending}")
    async def show(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)
        owned = await projects.list_of(visit.ports, visit.person.account_id)
        chunks = write(visit.ports, visit.person.account_id, _filter(_asked(visit), owned))
        name = f"reqrun-audit-{visit.ports.clock.now():%Y-%m-%d}.{ending}"
        return downloads.attachment(visit, name, media_type, chunks)

    return show


async def _show(
    visit: Visit, form: Form, owned: list[Project], page: audit.Page
) -> Response[bytes]:
    chosen = {name: form[name] for name in _FILTERS if form[name]}
    return visit.page(
        "audit.html",
        status=400 if form.errors else 200,
        form=form,
        groups=GROUPS,
        projects=[(one.id, one.name) for one in owned],
        lines=[_line(one, visit, owned) for one in page.events],
        query=urlencode(chosen),
        older=None if page.before is None else urlencode({**chosen, "before": page.before}),
        is_first="before" not in visit.request.query_params,
    )


def _asked(visit: Visit) -> Form:
    asked = visit.request.query_params
    return Form({name: asked.get(name, "").strip() for name in _FILTERS})


def _filter(form: Form, owned: list[Project]) -> Filter:
    """Raises FieldErrors; ProjectNotFound for what is somebody else's, or was erased."""
    fields, days = Fields(), dict[str, datetime]()
    for name in ("since", "until"):
        try:
            if form[name]:
                days[name] = datetime.strptime(form[name], "%Y-%m-%d").replace(tzinfo=UTC)
                days[name] + _DAY
        except (ValueError, OverflowError):
            fields.add(name, "A day is written like 2026-11-23.")
    if form["group"] and form["group"] not in set(Group):
        fields.add("group", "Choose one of the list.")
    fields.end()
    if form["project"] and form["project"] not in {one.id for one in owned}:
        raise ProjectNotFound("There is no such project in your account.")
    until = days.get("until")
    return Filter(
        group=Group(form["group"]) if form["group"] else None,
        project_id=form["project"] or None,
        since=days.get("since"),
        until=None if until is None else until + _DAY,
    )


def _number(text: str) -> int | None:
    """The entry that the page before this one ended with."""
    if not text:
        return None
    is_number = text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    return int(text) if is_number else _NOBODYS


def _line(event: AuditEvent, visit: Visit, owned: list[Project]) -> Line:
    names = {one.id: one.name for one in owned}
    text, group = words_of(event.what)
    is_own = event.actor == visit.person.id
    return Line(
        at=event.at,
        text=text,
        detail=event.detail or "",
        group=group,
        who="you" if is_own else _OTHERS.get(event.actor, event.actor),
        network=event.network or "",
        project=names.get(event.project_id or "", "an erased project" if event.project_id else ""),
        subject=event.subject_id,
    )
