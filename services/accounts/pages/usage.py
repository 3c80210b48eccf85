"""Usage and limits: what the account has used of its plan, and what ran day by day."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from markupsafe import Markup

from libs.common.contracts.stats import StatsQuestion, StatsStep
from libs.common.errors import Unavailable
from services.accounts.pages import charts
from services.accounts.pages.charts import Bar
from services.accounts.pages.places import Place, enter
from services.accounts.pages.visits import AnyRequest, Desk
from services.accounts.use_cases import accounts

_DAYS: Final = 30


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/projects/{id}/usage`."""

    @get("/projects/{project_id:str}/usage")
    async def show(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)
        account = place.visit.account
        shown: dict[str, Any] = {
            "account": account,
            "is_unlimited": accounts.is_unlimited(account),
        }
        return place.page(
            "usage.html", meter=charts.meter, **shown, **await _used(place, account.anchor_day)
        )

    return [show]


async def _used(place: Place, anchor_day: int) -> dict[str, Any]:
    asked, now = place.visit.ports.requests, place.visit.ports.clock.now()
    end = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    begin = end - timedelta(days=_DAYS)
    question = StatsQuestion(mode=place.mode, from_=begin, to=end, step="day")
    try:
        standing, stats = await asyncio.gather(
            asked.standing(place.project.account_id, anchor_day),
            asked.stats(place.project.id, question),
        )
    except Unavailable as away:
        return {"away": str(away), "standing": None, "stats": None}
    return {
        "away": None,
        "standing": standing,
        "stats": stats,
        "requests_chart": _by_day(stats.steps, "Requests by day"),
        "tokens_chart": _tokens(stats.steps),
    }


def _by_day(steps: Sequence[StatsStep], name: str) -> Markup:
    bars = []
    for step in steps:
        tally = step.tally
        repeated = min(tally.repeated, tally.completed)
        title = f"{step.starts_at:%d %b}: {tally.completed} completed, {tally.failed} failed"
        parts = [tally.completed - repeated, repeated, tally.failed]
        bars.append(Bar(f"{step.starts_at:%d %b}", title, parts))
    return charts.stacked(bars, unit="", name=name)


def _tokens(steps: Sequence[StatsStep]) -> Markup:
    bars = []
    for step in steps:
        prompt, completion = step.tally.prompt_tokens, step.tally.completion_tokens
        title = f"{step.starts_at:%d %b}: {prompt:,} in, {completion:,} out"
        bars.append(Bar(f"{step.starts_at:%d %b}", title, [completion, 0, 0, prompt]))
    return charts.stacked(bars, unit="", name="Tokens by day")
