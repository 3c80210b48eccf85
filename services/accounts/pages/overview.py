"""The project at a glance: what ran, how long it took, what waits; live."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from markupsafe import Markup

from libs.common.contracts.gateway import RequestsQuestion
from libs.common.contracts.stats import (
    MAX_OPEN_COUNTED,
    StatsAnswer,
    StatsQuestion,
    StatsStep,
    Tally,
)
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.accounts.domain.keys import NewKey
from services.accounts.pages import charts, forms
from services.accounts.pages.charts import Bar
from services.accounts.pages.forms import Form, submit
from services.accounts.pages.places import Place, enter
from services.accounts.pages.visits import AnyRequest, Desk
from services.accounts.use_cases import keys
from services.accounts.use_cases.accounts import is_unlimited

_HOURS: Final = 24
_RECENT: Final = 8


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/projects/{id}`, its live part, and the quick start."""

    @get("/projects/{project_id:str}")
    async def show(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        return await _show(await enter(desk, request, project_id), issued=None)

    @get("/projects/{project_id:str}/now")
    async def show_now(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)
        return place.page("_now.html", **await _numbers(place))

    @post("/projects/{project_id:str}/quick-start")
    async def start(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = msgspec.structs.replace(await enter(desk, request, project_id), mode="test")

        async def act(form: Form) -> Response[bytes]:
            project_id = place.project.id
            wish = NewKey(project_id=project_id, mode="test", name="Quick start", id=form["once"])
            return await _show(place, issued=await keys.issue(desk.ports, wish, actor=place.actor))

        async def again(form: Form, status: int) -> Response[bytes]:
            return await _show(place, issued=None, form=form, status=status)

        return await submit(place.visit, act, again)

    return [show, show_now, start]


async def _show(
    place: Place, *, issued: keys.IssuedKey | None, form: Form = forms.EMPTY, status: int = 200
) -> Response[bytes]:
    shown = await _numbers(place)
    return place.page(
        "overview.html", status=status, form=form, issued=issued, once=new_id("key"), **shown
    )


async def _numbers(place: Place) -> dict[str, Any]:
    """What the live part shows; nothing of it where the execution plane is away."""
    asked, now = place.visit.ports.requests, place.visit.ports.clock.now()
    question = RequestsQuestion(mode=place.mode, limit=_RECENT)
    account = place.visit.account
    try:
        recent, stats, standing = await asyncio.gather(
            asked.list_requests(place.project.id, question),
            asked.stats(place.project.id, _last_day(place, now)),
            asked.standing(account.id, account.anchor_day),
        )
    except Unavailable as away:
        return {"away": str(away), "recent": (), "stats": None}
    return {
        "away": None,
        "recent": recent.requests,
        "stats": stats,
        "most_counted": MAX_OPEN_COUNTED,
        "standing": standing,
        "quota": None if is_unlimited(account) else account.requests_per_month,
        **_figures(stats),
    }


def _last_day(place: Place, now: datetime) -> StatsQuestion:
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return StatsQuestion(mode=place.mode, from_=end - timedelta(hours=_HOURS), to=end)


def _figures(stats: StatsAnswer) -> dict[str, Any]:
    total = stats.total
    ended = total.completed + total.failed
    return {
        "rate": None if not ended else total.completed / ended,
        "tokens": total.prompt_tokens + total.completion_tokens,
        "requests_chart": requests_chart(stats.steps),
        "time_chart": time_chart(stats.steps),
    }


def requests_chart(steps: Sequence[StatsStep]) -> Markup:
    """How many ended, and how: at once, after retries, failed."""
    bars = [
        Bar(
            f"{step.starts_at:%H:%M}",
            f"{step.starts_at:%d %b %H:%M} UTC: {step.tally.completed} completed"
            f" ({step.tally.repeated} after retries), {step.tally.failed} failed",
            _outcomes(step.tally),
        )
        for step in steps
    ]
    return charts.stacked(bars, unit="", name="Requests that ended, by hour, over the last day")


def _outcomes(tally: Tally) -> list[float]:
    repeated = min(tally.repeated, tally.completed)
    return [tally.completed - repeated, repeated, tally.failed]


def time_chart(steps: Sequence[StatsStep]) -> Markup:
    """Mean seconds a request took: at the provider, and waiting."""
    bars = []
    for step in steps:
        ended = max(step.tally.completed + step.tally.failed, 1)
        provider, waiting = (
            total / ended / 1000 for total in (step.tally.provider_ms, step.tally.waiting_ms)
        )
        title = (
            f"{step.starts_at:%d %b %H:%M} UTC: {provider:.2f} s at the provider,"
            f" {waiting:.2f} s waiting"
        )
        bars.append(Bar(f"{step.starts_at:%H:%M}", title, [0, waiting, 0, provider]))
    return charts.stacked(
        bars, unit=" s", name="Mean time of a request, by hour, over the last day"
    )
