"""Projects: which there are, a new one, and one's settings."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from libs.common.errors import InvalidInput
from libs.common.ids import new_id
from services.accounts.domain.errors import InvalidName
from services.accounts.domain.projects import SEEN, WholeSettings, mark_of, settings_of
from services.accounts.pages import forms
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.places import Place, enter
from services.accounts.pages.visits import AnyRequest, Desk, Visit
from services.accounts.use_cases import accounts, projects

_DAY: Final = timedelta(days=1)
_RULES: Final[forms.Rules] = {InvalidName: "name"}


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/`, `/projects`, and a project's settings."""
    return [*_all(desk), *_settings(desk), *_states(desk)]


def _all(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/")
    async def home(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)
        owned = await projects.list_of(visit.ports, visit.person.account_id)
        notice = request.query_params.get("done", "")
        rest = f"?done={notice}" if notice.isascii() and notice.replace("-", "").isalpha() else ""
        only = owned[0].id if len(owned) == 1 else None
        return visit.go(f"/projects/{only}{rest}" if only else f"/projects{rest}")

    @get("/projects")
    async def show(request: AnyRequest) -> Response[bytes]:
        return await _show_all(await desk.enter(request), EMPTY, 200)

    @post("/projects")
    async def create(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            account_id = visit.person.account_id
            made = await projects.create(
                visit.ports, account_id, form["name"], actor=visit.actor, project_id=form["once"]
            )
            return visit.go(f"/projects/{made.id}")

        return await submit(visit, act, partial(_show_all, visit), _RULES)

    return [home, show, create]


async def _show_all(visit: Visit, form: Form, status: int) -> Response[bytes]:
    owned = await projects.list_of(visit.ports, visit.person.account_id)
    return visit.page("projects.html", status=status, form=form, projects=owned, once=new_id("prj"))


def _settings(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/projects/{project_id:str}/settings")
    async def show(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        return await _show(await enter(desk, request, project_id), EMPTY, 200)

    @post("/projects/{project_id:str}/settings")
    async def change(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(form: Form) -> Response[bytes]:
            wish = _wish(form)
            await projects.replace_settings(
                desk.ports, project_id, wish, actor=place.actor, seen=form[SEEN]
            )
            return place.go("/settings?done=saved")

        return await submit(place.visit, act, partial(_show, place), _RULES)

    return [show, change]


async def _show(place: Place, form: Form, status: int) -> Response[bytes]:
    account = await accounts.get(place.visit.ports, place.project.account_id)
    return place.page(
        "project_settings.html",
        status=status,
        form=form,
        account=account,
        values=_values(place),
        seen=mark_of(settings_of(place.project)),
    )


def _values(place: Place) -> Mapping[str, Any]:
    """The fields as they stand; empty where the plan's limit holds."""
    project = place.project
    return {
        "name": project.name,
        "requests_per_minute": project.requests_per_minute or "",
        "running": project.running or "",
        "retention_days": _in_days(project.retention_seconds),
        "metadata_days": _in_days(project.metadata_seconds),
        "on_unknown_outcome": project.on_unknown_outcome,
        "allowed_addresses": "\n".join(project.allowed_addresses),
    }


def _in_days(seconds: int | None) -> str:
    return "" if seconds is None else f"{seconds / _DAY.total_seconds():g}"


def _wish(form: Form) -> WholeSettings:
    return WholeSettings(
        name=form["name"],
        requests_per_minute=form["requests_per_minute"],
        running=form["running"],
        retention_days=form["retention_days"],
        metadata_days=form["metadata_days"],
        on_unknown_outcome=form["on_unknown_outcome"],
        allowed_addresses=form["allowed_addresses"],
    )


def _states(desk: Desk) -> list[HTTPRouteHandler]:
    @post("/projects/{project_id:str}/pause")
    async def pause(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(_: Form) -> Response[bytes]:
            await projects.pause(desk.ports, project_id, actor=place.actor)
            return place.go("/settings?done=paused")

        return await submit(place.visit, act, partial(_show, place))

    @post("/projects/{project_id:str}/resume")
    async def resume(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(_: Form) -> Response[bytes]:
            await projects.resume(desk.ports, project_id, actor=place.actor)
            return place.go("/settings?done=resumed")

        return await submit(place.visit, act, partial(_show, place))

    @post("/projects/{project_id:str}/erase")
    async def erase(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(form: Form) -> Response[bytes]:
            if form["sure"].strip() != place.project.name:
                raise InvalidInput("Type the project's name to say that you mean it.")
            await projects.erase(desk.ports, project_id, actor=place.actor, is_sure=True)
            return place.visit.go("/projects?done=removed")

        return await submit(place.visit, act, partial(_show, place), {InvalidInput: "sure"})

    return [pause, resume, erase]
