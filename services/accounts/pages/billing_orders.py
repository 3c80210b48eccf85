"""Another plan: what it changes, what it costs, and ordering it; cancelling, and not after all."""

from collections.abc import Awaitable, Callable
from functools import partial

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from libs.common.contracts.billing import BillingAnswer, PlanChangeAnswer
from libs.common.contracts.plans import PLANS, SOLD, PlanName
from libs.common.errors import AppError, NotFound
from services.accounts.domain.plan_changes import Difference, InUse, differences
from services.accounts.models import Person
from services.accounts.pages import billing_words as words
from services.accounts.pages.billing import answer_of, page
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.visits import AnyRequest, Desk, Visit
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, billing, projects


class PlanNotOffered(NotFound):
    """No plan of this name, or none that anybody can choose."""

    code = "plan_not_offered"


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/billing/plans` and below, and everything that changes a subscription."""
    return [*_plans(desk), *_orders(desk), *_ends(desk)]


def _plans(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/billing/plans")
    async def show(request: AnyRequest) -> Response[bytes]:
        return await _show_all(await desk.enter(request), EMPTY, 200)

    @get("/billing/plans/{plan:str}")
    async def show_one(request: AnyRequest, plan: FromPath[str]) -> Response[bytes]:
        visit, wanted = await desk.enter(request), _offered(plan)
        return await _show_one(visit, wanted, EMPTY, 200)

    return [show, show_one]


async def _show_all(visit: Visit, form: Form, status: int) -> Response[bytes]:
    answer, away = await answer_of(visit)
    return page(
        visit,
        "billing_plans.html",
        status=status,
        form=form,
        answer=answer,
        away=away,
        offers=words.offers(answer) if answer is not None else (),
        living=words.living(answer) if answer is not None else None,
        is_sold=answer is not None and answer.is_sold,
    )


async def _show_one(visit: Visit, plan: PlanName, form: Form, status: int) -> Response[bytes]:
    """What changes with it; for a living subscription, what it costs."""
    answer, away = await answer_of(visit)
    if answer is None or not answer.is_sold:
        return await _show_all(visit, form, status)
    bought = words.living(answer)
    if _has(answer, plan):
        return await _show_all(visit, form, status) if form.error else visit.go("/billing/plans")
    cost, refused = await _cost(visit, plan, answer)
    return page(
        visit,
        "billing_plan.html",
        status=status,
        form=form,
        plan=plan,
        answer=answer,
        away=away,
        offer=next((one for one in words.offers(answer) if one.plan == plan), None),
        bought=bought,
        cost=cost,
        refused=refused,
        is_sold_plan=plan in SOLD,
        changes=await _changes(visit, plan, answer),
    )


def _has(answer: BillingAnswer, plan: PlanName) -> bool:
    """Whether there is nothing to order: that is the plan, or what it falls back to by itself."""
    bought = words.living(answer)
    if bought is None:
        return plan == answer.plan
    return plan == bought.plan or (plan not in SOLD and bought.ends_at is not None)


async def _cost(
    visit: Visit, plan: PlanName, answer: BillingAnswer
) -> tuple[PlanChangeAnswer | None, str | None]:
    """What changing a living subscription costs; or why it cannot be changed now."""
    bought = words.living(answer)
    if bought is None or plan not in SOLD or plan == bought.plan:
        return None, None
    try:
        return await billing.preview(visit.ports, visit.person.account_id, plan), None
    except AppError as refusal:
        return None, str(refusal)


async def _changes(visit: Visit, plan: PlanName, answer: BillingAnswer) -> list[Difference]:
    owned = await projects.list_of(visit.ports, visit.person.account_id)
    used = InUse(projects=len(owned), requests=answer.usage.finished)
    return differences(accounts.plan_of(visit.account), PLANS[plan], used)


def _offered(text: str) -> PlanName:
    """Raises PlanNotOffered."""
    if text not in {PlanName.FREE, *SOLD}:
        raise PlanNotOffered("There is no such plan.")
    return PlanName(text)


def _bought(text: str) -> PlanName:
    """One that costs something. Raises PlanNotOffered."""
    if text not in SOLD:
        raise PlanNotOffered("There is no such plan.")
    return PlanName(text)


def _orders(desk: Desk) -> list[HTTPRouteHandler]:
    @post("/billing/plans/{plan:str}/checkout")
    async def check_out(request: AnyRequest, plan: FromPath[str]) -> Response[bytes]:
        visit, wanted = await desk.enter(request), _bought(plan)

        async def act(_: Form) -> Response[bytes]:
            network = visit.browser.network
            address = await billing.check_out(visit.ports, visit.person, wanted, network)
            return visit.leave(address, "the payment page")

        return await submit(visit, act, partial(_show_one, visit, wanted))

    @post("/billing/plans/{plan:str}/change")
    async def change(request: AnyRequest, plan: FromPath[str]) -> Response[bytes]:
        visit, wanted = await desk.enter(request), _bought(plan)

        async def act(_: Form) -> Response[bytes]:
            await billing.order(visit.ports, visit.person, wanted, visit.browser.network)
            return visit.go(f"/billing/thanks?plan={wanted}")

        return await submit(visit, act, partial(_show_one, visit, wanted))

    return [check_out, change]


Change = Callable[[Ports, Person, str], Awaitable[BillingAnswer]]
"""What is done to the subscription, by whom, from where."""


def _ends(desk: Desk) -> list[HTTPRouteHandler]:
    @post("/billing/portal")
    async def open_portal(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(_: Form) -> Response[bytes]:
            network = visit.browser.network
            address = await billing.open_portal(visit.ports, visit.person, network)
            return visit.leave(address, "the payment provider's pages")

        return await submit(visit, act, partial(_show_all, visit))

    return [
        open_portal,
        _end(desk, "/billing/cancel", billing.cancel, "cancelled-plan"),
        _end(desk, "/billing/keep", billing.keep, "kept-plan"),
    ]


def _end(desk: Desk, path: str, change: Change, done: str) -> HTTPRouteHandler:
    @post(path, name=path)
    async def take(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(_: Form) -> Response[bytes]:
            await change(visit.ports, visit.person, visit.browser.network)
            return visit.go(f"/billing?done={done}")

        return await submit(visit, act, partial(_show_all, visit))

    return take
