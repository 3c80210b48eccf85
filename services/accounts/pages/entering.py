"""Sign up, prove the address, log in and out, get back in."""

from collections.abc import Awaitable, Callable
from functools import partial

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from services.accounts.domain.countries import COUNTRIES
from services.accounts.domain.tokens import PATHS, Purpose
from services.accounts.pages import forms
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.visits import AnyRequest, Desk, Visit, safe_next
from services.accounts.use_cases import emails, recovery, sessions, sign_up
from services.accounts.use_cases.sign_up import SignUp


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Pages for who is not logged in."""
    return [*_signing_up(desk), *_logging_in(desk), *_links(desk)]


def _signing_up(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/sign-up")
    async def show(request: AnyRequest) -> Response[bytes]:
        return await _show_sign_up(await desk.visit(request), EMPTY, 200)

    @post("/sign-up")
    async def take(request: AnyRequest) -> Response[bytes]:
        visit = await desk.visit(request)

        async def act(form: Form) -> Response[bytes]:
            await sign_up.sign_up(visit.ports, _wish(visit, form))
            return visit.go("/check-mail")

        async def again(form: Form, status: int) -> Response[bytes]:
            return await _show_sign_up(visit, form, status)

        return await submit(visit, act, again)

    @get("/check-mail")
    async def check_mail(request: AnyRequest) -> Response[bytes]:
        return (await desk.visit(request)).page("check_mail.html")

    return [show, take, check_mail]


async def _show_sign_up(visit: Visit, form: Form, status: int) -> Response[bytes]:
    return visit.page("sign_up.html", status=status, form=form, countries=COUNTRIES)


def _wish(visit: Visit, form: Form) -> SignUp:
    return SignUp(
        email=form["email"],
        password=form["password"],
        name=form["name"],
        company=form["company"],
        country=form["country"],
        has_accepted=form.has("has_accepted"),
        wants_notices=form.has("wants_notices"),
        network=visit.browser.network,
    )


def _logging_in(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/log-in")
    async def show(request: AnyRequest) -> Response[bytes]:
        visit = await desk.visit(request)
        if visit.held is not None:
            return visit.go(safe_next(request.query_params.get("next", "/")))
        return await _show_log_in(visit, EMPTY, 200)

    @post("/log-in")
    async def take(request: AnyRequest) -> Response[bytes]:
        visit = await desk.visit(request)

        async def act(form: Form) -> Response[bytes]:
            earlier = "" if visit.held is None else visit.token
            token = await sessions.log_in(
                visit.ports, form["email"], form["password"], visit.browser, earlier=earlier
            )
            return visit.log_in(token, safe_next(form["next"] or "/"))

        async def again(form: Form, status: int) -> Response[bytes]:
            return await _show_log_in(visit, form, status)

        return await submit(visit, act, again)

    @post("/log-out")
    async def leave(request: AnyRequest) -> Response[bytes]:
        visit = await desk.visit(request)
        forms.check_token(visit, await forms.read(visit))
        if visit.held is not None:
            await sessions.log_out(visit.ports, visit.token, visit.browser.network)
        return visit.log_out("/log-in?done=logged-out")

    return [show, take, leave]


async def _show_log_in(visit: Visit, form: Form, status: int) -> Response[bytes]:
    asked = form["next"] or visit.request.query_params.get("next", "/")
    return visit.page("log_in.html", status=status, form=form, next=safe_next(asked))


def _links(desk: Desk) -> list[HTTPRouteHandler]:
    """Each link opens a page with a button: what only follows links uses none of them up."""

    async def verify(visit: Visit, form: Form) -> Response[bytes]:
        await sign_up.verify(visit.ports, form["token"], visit.browser.network)
        return visit.go("/?done=verified" if visit.held else "/log-in?done=verified")

    async def change_email(visit: Visit, form: Form) -> Response[bytes]:
        await emails.change(visit.ports, form["token"], visit.browser.network)
        return visit.go("/settings?done=email-changed")

    async def restore_email(visit: Visit, form: Form) -> Response[bytes]:
        await emails.restore(visit.ports, form["token"], visit.browser.network)
        return visit.log_out("/log-in?done=email-restored")

    async def reset(visit: Visit, form: Form) -> Response[bytes]:
        await recovery.reset(visit.ports, form["token"], form["password"], visit.browser.network)
        return visit.log_out("/log-in?done=password-set")

    return [
        *_link(desk, PATHS[Purpose.VERIFY], "verify.html", verify),
        *_link(desk, PATHS[Purpose.CHANGE_EMAIL], "change_email.html", change_email),
        *_link(desk, PATHS[Purpose.RESTORE_EMAIL], "restore_email.html", restore_email),
        *_link(desk, PATHS[Purpose.RESET], "reset.html", reset),
        *_recovery(desk),
    ]


def _link(
    desk: Desk,
    path: str,
    template: str,
    act: Callable[[Visit, Form], Awaitable[Response[bytes]]],
) -> list[HTTPRouteHandler]:
    async def shown(visit: Visit, form: Form, status: int) -> Response[bytes]:
        token = form["token"] or visit.request.query_params.get("token", "")
        return visit.page(template, status=status, form=form, token=token)

    @get(path, name=f"show {template}")
    async def show(request: AnyRequest) -> Response[bytes]:
        return await shown(await desk.visit(request), EMPTY, 200)

    @post(path, name=f"take {template}")
    async def take(request: AnyRequest) -> Response[bytes]:
        visit = await desk.visit(request)
        return await submit(visit, partial(act, visit), partial(shown, visit))

    return [show, take]


def _recovery(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/forgot")
    async def show_forgot(request: AnyRequest) -> Response[bytes]:
        return (await desk.visit(request)).page("forgot.html", form=EMPTY)

    @post("/forgot")
    async def forgot(request: AnyRequest) -> Response[bytes]:
        visit = await desk.visit(request)

        async def act(form: Form) -> Response[bytes]:
            await recovery.ask_for_reset(visit.ports, form["email"], visit.browser.network)
            return visit.go("/check-mail")

        async def again(form: Form, status: int) -> Response[bytes]:
            return visit.page("forgot.html", status=status, form=form)

        return await submit(visit, act, again)

    @post("/verify/again")
    async def send_again(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)
        forms.check_token(visit, await forms.read(visit))
        await sign_up.send_link_again(visit.ports, visit.person, visit.browser.network)
        return visit.go("/projects?done=link-sent")

    return [show_forgot, forgot, send_again]
