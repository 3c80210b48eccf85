"""The provider connection: where live requests go, with which key; tried out on a button."""

from functools import partial
from typing import Final

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from libs.common.contracts.executor import TestConnectionAnswer
from libs.common.settings import Secret
from services.accounts.domain.errors import InvalidBaseUrl, InvalidProviderKey
from services.accounts.pages import forms
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.places import Place, enter
from services.accounts.pages.visits import AnyRequest, Desk
from services.accounts.use_cases import connections
from services.accounts.use_cases.connections import NewConnection

_RULES: Final[forms.Rules] = {InvalidBaseUrl: "base_url", InvalidProviderKey: "provider_key"}
OPENAI: Final = "https://api.openai.com/v1"


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/projects/{id}/provider` and below."""

    @get("/projects/{project_id:str}/provider")
    async def show(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        return await _show(await enter(desk, request, project_id), EMPTY, 200)

    @post("/projects/{project_id:str}/provider")
    async def put(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(form: Form) -> Response[bytes]:
            wish = NewConnection(
                project_id=project_id,
                base_url=form["base_url"].strip() or OPENAI,
                key=Secret(form["provider_key"].strip()),
                seen=form["seen"],
            )
            await connections.put(desk.ports, wish, actor=place.actor)
            return place.go("/provider?done=saved")

        return await submit(place.visit, act, partial(_show, place), _RULES)

    return [show, put, *_changes(desk)]


def _changes(desk: Desk) -> list[HTTPRouteHandler]:
    @post("/projects/{project_id:str}/provider/test")
    async def try_out(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(_: Form) -> Response[bytes]:
            tested = await connections.test(desk.ports, project_id, actor=place.actor)
            return await _show(place, EMPTY, 200, tested)

        return await submit(place.visit, act, partial(_show, place))

    @post("/projects/{project_id:str}/provider/remove")
    async def remove(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(form: Form) -> Response[bytes]:
            seen = form["seen"]
            await connections.remove(desk.ports, project_id, actor=place.actor, seen=seen)
            return place.go("/provider?done=removed")

        return await submit(place.visit, act, partial(_show, place))

    return [try_out, remove]


async def _show(
    place: Place, form: Form, status: int, tested: TestConnectionAnswer | None = None
) -> Response[bytes]:
    found = await connections.find(place.visit.ports, place.project.id)
    return place.page(
        "provider.html", status=status, form=form, connection=found, tested=tested, openai=OPENAI
    )
