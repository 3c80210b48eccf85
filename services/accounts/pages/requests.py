"""Requests: the live list with its filters, and the page of one with its timeline."""

from functools import partial
from typing import Any, Final, get_args

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from libs.common.contracts.gateway import (
    ContentAnswer,
    RequestAnswer,
    RequestRow,
    RequestsQuestion,
    RequestState,
)
from libs.common.errors import InvalidInput, Unavailable
from libs.common.ids import is_id
from services.accounts.pages import timeline
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.places import Place, enter
from services.accounts.pages.readable import readable
from services.accounts.pages.visits import AnyRequest, Desk
from services.accounts.use_cases import overseeing

_PAGE: Final = 25
_STATES: Final = get_args(RequestState)
_ENDED: Final = frozenset({"completed", "failed", "cancelled"})


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/projects/{id}/requests` and below."""
    return [*_lists(desk), *_one(desk), *_changes(desk)]


def _lists(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/projects/{project_id:str}/requests")
    async def show(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)
        found = request.query_params.get("find", "").strip()
        if is_id("rr", found):
            return place.go(f"/requests/{found}")
        return place.page("requests.html", **await _rows(place))

    @get("/projects/{project_id:str}/requests/rows")
    async def show_rows(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)
        return place.page("_rows.html", **await _rows(place))

    return [show, show_rows]


async def _rows(place: Place) -> dict[str, Any]:
    asked = place.visit.request.query_params
    chosen = {name: asked.get(name, "").strip() for name in ("find", "state", "model", "before")}
    shown: dict[str, Any] = {
        "chosen": chosen,
        "states": [(state, state) for state in _STATES],
        "query": place.visit.query,
        "rows": (),
        "before": None,
        "away": None,
    }
    try:
        question = _question(place, chosen)
        answer = await place.visit.ports.requests.list_requests(place.project.id, question)
    except (Unavailable, InvalidInput) as refused:
        return {**shown, "away": str(refused)}
    return {**shown, "rows": answer.requests, "before": answer.before}


def _question(place: Place, chosen: dict[str, str]) -> RequestsQuestion:
    """What was asked for in the address, whatever stands there. Raises InvalidInput."""
    wish = {
        "mode": place.mode,
        "state": (chosen["state"],) if chosen["state"] else (),
        "model": chosen["model"] or None,
        "idempotency_key": chosen["find"] or None,
        "before": chosen["before"] or None,
        "limit": _PAGE,
    }
    try:
        return msgspec.convert(wish, RequestsQuestion)
    except msgspec.ValidationError:
        raise InvalidInput("These filters cannot be. Clear them and choose anew.") from None


def _one(desk: Desk) -> list[HTTPRouteHandler]:
    path = "/projects/{project_id:str}/requests/{request_id:str}"

    @get(path)
    async def show(
        request: AnyRequest, project_id: FromPath[str], request_id: FromPath[str]
    ) -> Response[bytes]:
        place = await enter(desk, request, project_id)
        return await _show(place, request_id, EMPTY, 200)

    @get(path + "/live")
    async def show_live(
        request: AnyRequest, project_id: FromPath[str], request_id: FromPath[str]
    ) -> Response[bytes]:
        place = await enter(desk, request, project_id)
        return place.page("_timeline.html", **await _story(place, request_id))

    @post(path + "/content")
    async def reveal(
        request: AnyRequest, project_id: FromPath[str], request_id: FromPath[str]
    ) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(_: Form) -> Response[bytes]:
            content = await overseeing.reveal(desk.ports, place.project, request_id, place.actor)
            return await _show(place, request_id, EMPTY, 200, content)

        return await submit(place.visit, act, partial(_show, place, request_id))

    return [show, show_live, reveal]


def _changes(desk: Desk) -> list[HTTPRouteHandler]:
    path = "/projects/{project_id:str}/requests/{request_id:str}"

    @post(path + "/cancel")
    async def cancel(
        request: AnyRequest, project_id: FromPath[str], request_id: FromPath[str]
    ) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(_: Form) -> Response[bytes]:
            await overseeing.cancel(desk.ports, place.project, request_id, place.actor)
            return place.go(f"/requests/{request_id}?done=cancelled")

        return await submit(place.visit, act, partial(_show, place, request_id))

    @post(path + "/retry")
    async def retry(
        request: AnyRequest, project_id: FromPath[str], request_id: FromPath[str]
    ) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(_: Form) -> Response[bytes]:
            made = await overseeing.retry(desk.ports, place.project, request_id, place.actor)
            return place.go(f"/requests/{made}?done=retried")

        return await submit(place.visit, act, partial(_show, place, request_id))

    return [cancel, retry]


async def _show(
    place: Place,
    request_id: str,
    form: Form,
    status: int,
    content: ContentAnswer | None = None,
) -> Response[bytes]:
    story = await _story(place, request_id)
    bodies = None if content is None else _bodies(content)
    return place.page("request.html", status=status, form=form, content=bodies, **story)


async def _story(place: Place, request_id: str) -> dict[str, Any]:
    """Raises NotFound, ExecutionPlaneAway."""
    answer = await place.visit.ports.requests.show(place.project.id, request_id)
    return {
        "one": answer.request,
        "answer": answer,
        "moments": timeline.tell(answer, place.visit.ports.clock.now()),
        "is_open": answer.request.state not in _ENDED,
        "curl": _curl(place, answer.request),
        "times": _times(answer),
    }


def _times(answer: RequestAnswer) -> dict[str, float]:
    """Seconds at the provider, and of all the rest, until now or the end."""
    calls = (
        (one.finished_at - one.sent_at).total_seconds()
        for one in answer.attempts
        if one.finished_at is not None and one.sent_at is not None
    )
    request, provider = answer.request, sum(calls)
    whole = ((request.finished_at or request.updated_at) - request.created_at).total_seconds()
    return {"provider": provider, "waiting": max(whole - provider, 0.0)}


def _curl(place: Place, one: RequestRow) -> str:
    url = f"{place.visit.desk.api_url}/v1/requests/{one.id}"
    return f"curl {url} -H 'Authorization: Bearer <your {one.mode} key>'"


def _bodies(content: ContentAnswer) -> dict[str, Any]:
    return {
        "gone": content.gone,
        "request": readable(content.request),
        "result": readable(content.result),
        "errors": {number: readable(body) for number, body in sorted(content.errors.items())},
    }
