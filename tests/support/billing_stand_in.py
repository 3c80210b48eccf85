"""Billing as accounts sees it: a small one of our own, in memory, or as a server on a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec
from litestar import get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from deploy.local.ports import free_ports
from libs.common.clock import SystemClock
from libs.common.contracts.billing import (
    AUDIENCE,
    BillingAnswer,
    CancelQuestion,
    CheckoutQuestion,
    GrantQuestion,
    LinkAnswer,
    Money,
    OfferAnswer,
    PlanChangeAnswer,
    PlanChangeQuestion,
    SubscriptionAnswer,
    TaxDetails,
    UsageAnswer,
    billing_path,
    cancel_path,
    checkout_path,
    details_path,
    grant_path,
    invoice_path,
    plan_change_path,
    portal_path,
)
from libs.common.contracts.plans import PLANS, PlanName
from libs.common.errors import AppError, Conflict, NotFound
from libs.common.tokens import TokenVerifier
from libs.common.web.app import create, serve
from libs.common.web.guards import Guard, service_token
from tests.support.service_keys import ServiceKey
from tests.support.waiting import until

PRICES: Final = {PlanName.PRO: 2900, PlanName.SCALE: 29900}
BEGAN: Final = datetime(2026, 3, 1, tzinfo=UTC)
PAID_UNTIL: Final = datetime(2026, 4, 1, tzinfo=UTC)
PAY_PAGE: Final = "https://pay.example.org/checkout"
PORTAL: Final = "https://pay.example.org/portal"


class NoSuchInvoice(NotFound):
    """As billing says it."""

    code = "invoice_not_found"


class NothingToChange(Conflict):
    """As billing says it."""

    code = "no_subscription"


class SamePlan(Conflict):
    """As billing says it."""

    code = "same_plan"


def subscription(plan: PlanName = PlanName.PRO, **changes: Any) -> SubscriptionAnswer:
    """A living one."""
    made = SubscriptionAnswer(
        id="sub_1",
        plan=plan,
        state="active",
        started_at=BEGAN,
        pays_until=PAID_UNTIL,
        ends_at=None,
        grace_ends_at=None,
        price=Money(amount=PRICES[plan], currency="EUR"),
    )
    return msgspec.structs.replace(made, **changes)


class BillingStandIn:
    """Implements Billing. `refusal`: what every question raises meanwhile. `orders`: all of them.

    An account that it never heard of is on `plan`, and has bought nothing.
    """

    def __init__(self, *, is_sold: bool = True, plan: PlanName = PlanName.FREE) -> None:
        """Nobody has bought anything yet."""
        self.refusal: AppError | None = None
        self.orders: list[tuple[str, str, object]] = []
        self.asked = 0
        self._is_sold, self._plan = is_sold, plan
        self._answers: dict[str, BillingAnswer] = {}

    def of(self, account_id: str) -> BillingAnswer:
        """What it would say."""
        return self._answers.get(account_id) or BillingAnswer(
            account_id=account_id,
            plan=self._plan,
            is_sold=self._is_sold,
            offers=_offers() if self._is_sold else (),
            subscription=None,
            next_plan=None,
            usage=UsageAnswer(
                period=date(2026, 3, 1),
                resets_on=date(2026, 4, 1),
                allowed=PLANS[self._plan].limits.requests_per_month,
                finished=0,
                lines=(),
            ),
            invoices=(),
            details=TaxDetails(),
        )

    def set(self, account_id: str, **changes: Any) -> None:
        """It says something else from now on."""
        self._answers[account_id] = msgspec.structs.replace(self.of(account_id), **changes)

    async def show(self, account_id: str) -> BillingAnswer:
        """See Billing."""
        self.asked += 1
        self._check()
        return self.of(account_id)

    async def check_out(self, account_id: str, question: CheckoutQuestion) -> LinkAnswer:
        """See Billing."""
        self._note("checkout", account_id, question)
        return LinkAnswer(url=PAY_PAGE)

    async def open_portal(self, account_id: str) -> LinkAnswer:
        """See Billing."""
        self._note("portal", account_id, None)
        return LinkAnswer(url=PORTAL)

    async def change_plan(self, account_id: str, question: PlanChangeQuestion) -> PlanChangeAnswer:
        """See Billing."""
        self._check()
        bought = self.of(account_id).subscription
        if bought is None:
            raise NothingToChange("There is no subscription that could be changed.")
        if bought.plan == question.plan:
            raise SamePlan("The subscription is on this plan already.")
        if not question.is_preview:
            self._note("change", account_id, question)
            self.set(account_id, subscription=subscription(question.plan), plan=question.plan)
        return PlanChangeAnswer(
            plan=question.plan,
            now=Money(amount=PRICES[question.plan] // 2, currency="EUR"),
            next=Money(amount=PRICES[question.plan], currency="EUR"),
            next_at=PAID_UNTIL,
            is_done=not question.is_preview,
        )

    async def cancel(self, account_id: str, question: CancelQuestion) -> BillingAnswer:
        """See Billing."""
        self._note("cancel", account_id, question)
        bought = self.of(account_id).subscription
        if bought is None:
            raise NothingToChange("There is no subscription that could be cancelled.")
        ends_at = PAID_UNTIL if question.is_wanted else None
        self.set(
            account_id,
            subscription=msgspec.structs.replace(bought, ends_at=ends_at),
            next_plan=PlanName.FREE if question.is_wanted else None,
        )
        return self.of(account_id)

    async def set_details(self, account_id: str, details: TaxDetails) -> BillingAnswer:
        """See Billing."""
        self._note("details", account_id, details)
        self.set(account_id, details=details)
        return self.of(account_id)

    async def open_invoice(self, account_id: str, invoice_id: str) -> LinkAnswer:
        """See Billing."""
        self._check()
        if invoice_id not in {one.id for one in self.of(account_id).invoices}:
            raise NoSuchInvoice("There is no such invoice in this account.")
        return LinkAnswer(url=f"https://pay.example.org/{invoice_id}.pdf")

    async def grant(self, account_id: str, question: GrantQuestion) -> BillingAnswer:
        """See Billing."""
        self._note("grant", account_id, question)
        self.set(account_id, plan=question.plan)
        return self.of(account_id)

    def _note(self, what: str, account_id: str, question: object) -> None:
        self._check()
        self.orders.append((what, account_id, question))

    def _check(self) -> None:
        if self.refusal is not None:
            raise self.refusal


def _offers() -> tuple[OfferAnswer, ...]:
    paid = [
        OfferAnswer(plan=plan, price=Money(amount=price, currency="EUR"))
        for plan, price in PRICES.items()
    ]
    return (OfferAnswer(plan=PlanName.FREE, price=None), *paid)


@asynccontextmanager
async def running(billing: BillingStandIn, accounts: ServiceKey) -> AsyncIterator[str]:
    """Its internal address, while the block runs."""
    port, stop = free_ports(), asyncio.Event()
    verifier = TokenVerifier({accounts.key_id: accounts.public}, AUDIENCE, SystemClock())
    guards = [service_token(verifier, "accounts")]
    app = create([*_answers(billing, guards), *_changes(billing, guards)])
    task = asyncio.ensure_future(serve(app, "127.0.0.1", port)(stop))
    try:
        await until(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await task


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


_ACCOUNT: Final = "{account_id:str}"


def _answers(billing: BillingStandIn, guards: list[Guard]) -> list[HTTPRouteHandler]:
    @get(billing_path(_ACCOUNT), guards=guards)
    async def show(account_id: FromPath[str]) -> BillingAnswer:
        return await billing.show(account_id)

    @get(invoice_path(_ACCOUNT, "{invoice_id:str}"), guards=guards)
    async def show_invoice(account_id: FromPath[str], invoice_id: FromPath[str]) -> LinkAnswer:
        return await billing.open_invoice(account_id, invoice_id)

    @post(checkout_path(_ACCOUNT), status_code=200, guards=guards)
    async def check_out(account_id: FromPath[str], data: JSONBody[CheckoutQuestion]) -> LinkAnswer:
        return await billing.check_out(account_id, data)

    @post(portal_path(_ACCOUNT), status_code=200, guards=guards)
    async def open_portal(account_id: FromPath[str]) -> LinkAnswer:
        return await billing.open_portal(account_id)

    return [show, show_invoice, check_out, open_portal]


def _changes(billing: BillingStandIn, guards: list[Guard]) -> list[HTTPRouteHandler]:
    @post(plan_change_path(_ACCOUNT), status_code=200, guards=guards)
    async def change_plan(
        account_id: FromPath[str], data: JSONBody[PlanChangeQuestion]
    ) -> PlanChangeAnswer:
        return await billing.change_plan(account_id, data)

    @post(cancel_path(_ACCOUNT), status_code=200, guards=guards)
    async def cancel(account_id: FromPath[str], data: JSONBody[CancelQuestion]) -> BillingAnswer:
        return await billing.cancel(account_id, data)

    @put(details_path(_ACCOUNT), guards=guards)
    async def set_details(account_id: FromPath[str], data: JSONBody[TaxDetails]) -> BillingAnswer:
        return await billing.set_details(account_id, data)

    @put(grant_path(_ACCOUNT), guards=guards)
    async def grant(account_id: FromPath[str], data: JSONBody[GrantQuestion]) -> BillingAnswer:
        return await billing.grant(account_id, data)

    return [change_plan, cancel, set_details, grant]
