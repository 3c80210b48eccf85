"""Privacy rights: take one's data along, pause its processing, object, leave."""

from functools import partial
from typing import Final

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from services.accounts.domain.errors import FieldErrors
from services.accounts.domain.support import LONGEST_TEXT, Draft, Kind
from services.accounts.models import Account
from services.accounts.pages import downloads
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.visits import AnyRequest, Desk, Visit
from services.accounts.use_cases import accounts, deletion, export, recovery, restriction, support

RIGHTS: Final = (
    ("object", "Object to a use of my data"),
    ("consent", "Withdraw a consent"),
    ("correct", "Have something corrected that I cannot correct here"),
    ("access", "Know what you hold about me, or where it came from"),
    ("other", "Another right, or a complaint"),
)
_SUBJECTS: Final = dict(RIGHTS)
_EXPORT: Final = "taking"
_PROCESSING: Final = "processing"
_ASKING: Final = "asking"


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/settings/data` and below."""
    return [*_export(desk), *_processing(desk), *_asking(desk), *_leaving(desk)]


def _export(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/settings/data")
    async def show(request: AnyRequest) -> Response[bytes]:
        return await _show(await desk.enter(request), _EXPORT, EMPTY, 200)

    @post("/settings/data/export")
    async def take_along(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            made = await export.begin(visit.ports, visit.entered, form["password"])
            return downloads.attachment(visit, made.name, "application/zip", made.chunks)

        return await submit(visit, act, partial(_show, visit, _EXPORT))

    return [show, take_along]


def _processing(desk: Desk) -> list[HTTPRouteHandler]:
    @post("/settings/data/restrict")
    async def restrict(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(_: Form) -> Response[bytes]:
            await restriction.restrict(visit.ports, visit.person.account_id, actor=visit.actor)
            return visit.go("/settings/data?done=restricted")

        return await submit(visit, act, partial(_show, visit, _PROCESSING))

    @post("/settings/data/lift")
    async def lift(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(_: Form) -> Response[bytes]:
            await restriction.lift(visit.ports, visit.person.account_id, actor=visit.actor)
            return visit.go("/settings/data?done=lifted")

        return await submit(visit, act, partial(_show, visit, _PROCESSING))

    return [restrict, lift]


def _asking(desk: Desk) -> list[HTTPRouteHandler]:
    @post("/settings/data/ask")
    async def ask(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            subject = _SUBJECTS.get(form["right"])
            if subject is None:
                raise FieldErrors({"right": "Choose what it is about."})
            draft = Draft(kind=Kind.PRIVACY, subject=subject, text=form["text"])
            sent = await support.send(visit.ports, visit.person, draft, visit.browser.network)
            return visit.go(f"/support/{sent.id}?done=sent")

        return await submit(visit, act, partial(_show, visit, _ASKING))

    return [ask]


def _leaving(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/settings/data/delete")
    async def show(request: AnyRequest) -> Response[bytes]:
        return await _show_leaving(await desk.enter(request), EMPTY, 200)

    @post("/settings/data/delete")
    async def start(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            ports, person = visit.ports, visit.person
            await recovery.confirm(ports, person, form["password"], visit.browser.network)
            await deletion.start(ports, person.id, actor=visit.actor)
            return visit.go("/settings/data?done=deletion-started")

        return await submit(visit, act, partial(_show_leaving, visit))

    @post("/settings/data/stay")
    async def undo(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(_: Form) -> Response[bytes]:
            await deletion.undo(visit.ports, visit.person.id, actor=visit.actor)
            return visit.go("/settings/data?done=deletion-undone")

        return await submit(visit, act, partial(_show, visit, _PROCESSING))

    return [show, start, undo]


async def _account(visit: Visit) -> Account:
    return await accounts.get(visit.ports, visit.person.account_id)


async def _show_leaving(visit: Visit, form: Form, status: int) -> Response[bytes]:
    account = await _account(visit)
    if account.leaves_at is not None and form is EMPTY:
        return visit.go("/settings/data")
    return visit.page("data_delete.html", status=status, form=form)


async def _show(visit: Visit, which: str, form: Form, status: int) -> Response[bytes]:
    """`form`: what was typed into the form `which`, and what is wrong with it."""
    shown = {_EXPORT: EMPTY, _PROCESSING: EMPTY, _ASKING: EMPTY, which: form}
    return visit.page(
        "data.html",
        status=status,
        account=await _account(visit),
        rights=RIGHTS,
        longest=LONGEST_TEXT,
        **shown,
    )
