"""Settings of one's own account: profile, notices, address, password, sessions."""

from functools import partial
from typing import Final

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from libs.common.ids import is_id
from services.accounts.domain.browsers import describe
from services.accounts.domain.countries import COUNTRIES
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.visits import AnyRequest, Desk, Visit
from services.accounts.use_cases import emails, profile, recovery, sessions
from services.accounts.use_cases.profile import Profile

_PROFILE: Final = "profile"
_NOTICES: Final = "notices"
_SESSIONS: Final = "sessions_form"


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/settings` and below, but for `/settings/data`."""
    return [*_profile(desk), *_sessions(desk), *_email(desk), *_password(desk)]


def _profile(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/settings")
    async def show(request: AnyRequest) -> Response[bytes]:
        return await _show(await desk.enter(request), _PROFILE, EMPTY, 200)

    @post("/settings")
    async def correct(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            wish = Profile(name=form["name"], company=form["company"], country=form["country"])
            await profile.correct(visit.ports, visit.person.id, wish, visit.browser.network)
            return visit.go("/settings?done=saved")

        return await submit(visit, act, partial(_show, visit, _PROFILE))

    @post("/settings/notices")
    async def set_notices(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            person_id, network = visit.person.id, visit.browser.network
            wanted = form.has("wants_notices")
            await profile.set_notices(visit.ports, person_id, network, wanted=wanted)
            return visit.go("/settings?done=saved")

        return await submit(visit, act, partial(_show, visit, _NOTICES))

    return [show, correct, set_notices]


def _sessions(desk: Desk) -> list[HTTPRouteHandler]:
    @post("/settings/sessions/end")
    async def end(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            # What is not there, or not theirs, has ended for them: the answer is the same.
            if is_id("ses", form["session_id"]):
                network = visit.browser.network
                await sessions.end(visit.ports, visit.person, form["session_id"], network)
            return visit.go("/settings?done=session-ended")

        return await submit(visit, act, partial(_show, visit, _SESSIONS))

    @post("/settings/sessions/end-others")
    async def end_others(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(_: Form) -> Response[bytes]:
            await sessions.end_others(visit.ports, visit.entered, visit.browser.network)
            return visit.go("/settings?done=sessions-ended")

        return await submit(visit, act, partial(_show, visit, _SESSIONS))

    return [end, end_others]


async def _show(visit: Visit, which: str, form: Form, status: int) -> Response[bytes]:
    """`form`: what was typed into the form `which`, and what is wrong with it."""
    shown = {_PROFILE: EMPTY, _NOTICES: EMPTY, _SESSIONS: EMPTY, which: form}
    return visit.page(
        "account.html",
        status=status,
        countries=COUNTRIES,
        sessions=await sessions.list_of(visit.ports, visit.person),
        this=visit.entered.session,
        describe=describe,
        **shown,
    )


def _email(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/settings/email")
    async def show(request: AnyRequest) -> Response[bytes]:
        return (await desk.enter(request)).page("account_email.html", form=EMPTY)

    @post("/settings/email")
    async def change(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            await emails.ask_to_change(
                visit.ports, visit.person, form["password"], form["email"], visit.browser.network
            )
            return visit.go("/settings?done=email-asked")

        async def again(form: Form, status: int) -> Response[bytes]:
            return visit.page("account_email.html", status=status, form=form)

        return await submit(visit, act, again)

    return [show, change]


def _password(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/settings/password")
    async def show(request: AnyRequest) -> Response[bytes]:
        return (await desk.enter(request)).page("account_password.html", form=EMPTY)

    @post("/settings/password")
    async def change(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            old, new = form["old_password"], form["password"]
            network = visit.browser.network
            await recovery.change_password(visit.ports, visit.entered, old, new, network)
            return visit.go("/settings?done=password-changed")

        async def again(form: Form, status: int) -> Response[bytes]:
            return visit.page("account_password.html", status=status, form=form)

        return await submit(visit, act, again)

    return [show, change]
