"""Billing: the plan, its use, and what it costs. What people order: billing_orders.py."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from libs.common.contracts.billing import BillingAnswer, TaxDetails
from libs.common.contracts.plans import PLANS, PlanName
from libs.common.errors import InvalidInput, Unavailable
from libs.common.periods import midnight
from services.accounts.domain.countries import COUNTRIES
from services.accounts.domain.errors import FieldErrors
from services.accounts.domain.money import amount_of
from services.accounts.domain.usage import by_project_and_model, projected
from services.accounts.pages import billing_words as words
from services.accounts.pages import charts
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.visits import AnyRequest, Desk, Visit
from services.accounts.use_cases import accounts, billing, projects

_FIELDS: Final = ("email", "business_name", "tax_id", "country", "postal_code")
_LONGEST: Final = 200
_MOST_LOOKS: Final = 20


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/billing`, its invoices and details, and the way back from a checkout."""
    return [*_usage(desk), *_invoices(desk), *_thanks(desk)]


async def answer_of(visit: Visit) -> tuple[BillingAnswer | None, str | None]:
    """What billing says; or why nothing can be said now."""
    try:
        return await billing.look(visit.ports, visit.person.account_id), None
    except Unavailable as away:
        return None, str(away)


def page(visit: Visit, template: str, /, *, status: int = 200, **values: Any) -> Response[bytes]:
    """A page of billing, with what all of them use."""
    given = {"names": words.NAMES, "money": words.money, "amount": amount_of, "plans": PLANS}
    unlimited = accounts.is_unlimited(visit.account)
    return visit.page(template, status=status, is_unlimited=unlimited, **given, **values)


def _usage(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/billing")
    async def show(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)
        answer, away = await answer_of(visit)
        used = {} if answer is None else await _used(visit, answer)
        return page(visit, "billing.html", answer=answer, away=away, **used)

    return [show]


async def _used(visit: Visit, answer: BillingAnswer) -> Mapping[str, Any]:
    """What the pages show of this period."""
    usage, now = answer.usage, visit.ports.clock.now()
    owned = await projects.list_of(visit.ports, visit.person.account_id)
    names = {one.id: one.name for one in owned}
    lines = [
        (_name(project_id, names), model or "unknown", total)
        for project_id, model, total in by_project_and_model(usage.lines)
    ]
    return {
        "lines": lines,
        "meter": charts.meter,
        "chart": words.by_day(usage, now),
        "projected": projected(usage, now),
        "living": words.living(answer),
        "begins_at": midnight(usage.period),
        "resets_at": midnight(usage.resets_on),
    }


def _invoices(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/billing/invoices")
    async def show(request: AnyRequest) -> Response[bytes]:
        return await _show_invoices(await desk.enter(request), EMPTY, 200)

    @post("/billing/details")
    async def set_details(request: AnyRequest) -> Response[bytes]:
        visit = await desk.enter(request)

        async def act(form: Form) -> Response[bytes]:
            network = visit.browser.network
            try:
                await billing.set_details(visit.ports, visit.person, _details(form), network)
            except InvalidInput as wrong:
                raise _beside_its_field(wrong) from None
            return visit.go("/billing/invoices?done=saved")

        return await submit(visit, act, partial(_show_invoices, visit))

    @get("/billing/invoices/{invoice_id:str}/pdf")
    async def show_pdf(request: AnyRequest, invoice_id: FromPath[str]) -> Response[bytes]:
        visit = await desk.enter(request)
        account_id = visit.person.account_id
        return visit.go(await billing.open_invoice(visit.ports, account_id, invoice_id))

    return [show, set_details, show_pdf]


async def _show_invoices(visit: Visit, form: Form, status: int) -> Response[bytes]:
    answer, away = await answer_of(visit)
    return page(
        visit,
        "billing_invoices.html",
        status=status,
        form=form,
        answer=answer,
        away=away,
        states=words.INVOICE_STATES,
        countries=COUNTRIES,
        longest=_LONGEST,
    )


def _details(form: Form) -> TaxDetails:
    """Raises InvalidInput."""
    typed = {name: form[name].strip() or None for name in _FIELDS}
    if any(text is not None and len(text) > _LONGEST for text in typed.values()):
        raise InvalidInput(f"A field has at most {_LONGEST} characters.")
    return TaxDetails(**typed)


def _beside_its_field(wrong: InvalidInput) -> InvalidInput:
    """What billing says of one field, by its code `invalid_<field>`; the rest as it is."""
    field = wrong.code.removeprefix("invalid_")
    is_ours = isinstance(wrong, FieldErrors) or field not in _FIELDS
    return wrong if is_ours else FieldErrors({field: str(wrong)})


def _thanks(desk: Desk) -> list[HTTPRouteHandler]:
    @get("/billing/thanks")
    async def show(request: AnyRequest) -> Response[bytes]:
        return _show_thanks(await desk.enter(request), "billing_thanks.html")

    @get("/billing/thanks/now")
    async def show_now(request: AnyRequest) -> Response[bytes]:
        return _show_thanks(await desk.enter(request), "_thanks.html")

    return [show, show_now]


def _show_thanks(visit: Visit, template: str) -> Response[bytes]:
    """Whether the plan is there yet; after some looks the page stops looking by itself."""
    asked = visit.request.query_params
    plan = asked.get("plan", "")
    if plan not in set(PlanName):
        return visit.go("/billing")
    looks = asked.get("looks", "0")
    looked = int(looks) + 1 if looks.isascii() and looks.isdecimal() and len(looks) < 4 else 1  # noqa: PLR2004  # enough
    return page(
        visit,
        template,
        plan=PlanName(plan),
        is_there=visit.account.plan == plan,
        looked=looked,
        goes_on=looked < _MOST_LOOKS,
    )


def _name(project_id: str, names: Mapping[str, str]) -> str:
    """Beyond the largest lines, billing sums up the rest without a project."""
    return names.get(project_id, "an erased project") if project_id else "all others"
