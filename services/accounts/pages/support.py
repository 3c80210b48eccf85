"""Support: write to the operator, read the answers, write again, close."""

from functools import partial
from typing import Final

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from libs.common.ids import is_id
from services.accounts.domain.errors import FieldErrors, SupportMessageNotFound
from services.accounts.domain.support import LONGEST_SUBJECT, LONGEST_TEXT, Draft, Kind
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.visits import AnyRequest, Desk, Visit
from services.accounts.use_cases import support

KINDS: Final = (
    (Kind.QUESTION, "A question"),
    (Kind.BUG, "Something that does not work"),
    (Kind.PRIVACY, "My privacy rights"),
)
_LONGEST: Final = {"longest_subject": LONGEST_SUBJECT, "longest_text": LONGEST_TEXT}


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/support` and below."""
    return [*_all(desk), *_one(desk)]


def _all(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/support")
    async def show(request: AnyRequest) -> Response[bytes]:
        return await _show_all(await desk.enter(request), EMPTY, 200)

    @post("/support")
    async def send(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            network = visit.browser.network
            sent = await support.send(visit.ports, visit.person, _draft(form), network)
            return visit.go(f"/support/{sent.id}?done=sent")

        return await submit(visit, act, partial(_show_all, visit))

    return [show, send]


def _one(desk: Desk) -> list[HTTPRouteHandler]:
    path = "/support/{message_id:str}"

    @get(path)
    async def show(request: AnyRequest, message_id: FromPath[str]) -> Response[bytes]:
        return await _show(await desk.enter(request), message_id, EMPTY, 200)

    @post(path + "/reply")
    async def reply(request: AnyRequest, message_id: FromPath[str]) -> Response[bytes]:
        visit = await desk.enter(request)
        await _thread(visit, message_id)

        async def act(form: Form) -> Response[bytes]:
            network = visit.browser.network
            await support.reply(visit.ports, visit.person, message_id, form["text"], network)
            return visit.go(f"/support/{message_id}?done=sent")

        return await submit(visit, act, partial(_show, visit, message_id))

    @post(path + "/close")
    async def close(request: AnyRequest, message_id: FromPath[str]) -> Response[bytes]:
        visit = await desk.enter(request)
        await _thread(visit, message_id)

        async def act(_: Form) -> Response[bytes]:
            await support.close(visit.ports, visit.person, message_id, visit.browser.network)
            return visit.go(f"/support/{message_id}?done=closed")

        return await submit(visit, act, partial(_show, visit, message_id))

    return [show, reply, close]


def _draft(form: Form) -> Draft:
    """Raises FieldErrors."""
    if form["kind"] not in set(Kind):
        raise FieldErrors({"kind": "Choose what it is about."})
    return Draft(kind=Kind(form["kind"]), subject=form["subject"], text=form["text"])


async def _show_all(visit: Visit, form: Form, status: int) -> Response[bytes]:
    messages = await support.list_of(visit.ports, visit.person.account_id)
    shown = {"messages": messages, "kinds": KINDS, "kind_names": dict(KINDS)}
    return visit.page("support.html", status=status, form=form, **shown, **_LONGEST)


async def _show(visit: Visit, message_id: str, form: Form, status: int) -> Response[bytes]:
    thread = await _thread(visit, message_id)
    shown = {"thread": thread, "kind_names": dict(KINDS)}
    return visit.page("support_thread.html", status=status, form=form, **shown, **_LONGEST)


async def _thread(visit: Visit, message_id: str) -> support.Thread:
    """One of the visitor's own account. Raises SupportMessageNotFound."""
    if not is_id("msg", message_id):
        raise SupportMessageNotFound("There is no support message with this id.")
    return await support.show(visit.ports, visit.person.account_id, message_id)
