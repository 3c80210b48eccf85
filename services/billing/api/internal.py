"""Questions of accounts, for its dashboard and its operator: `/internal`, on a port of its own."""

from litestar import Router, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from libs.common.contracts.billing import (
    BillingAnswer,
    CancelQuestion,
    CheckoutQuestion,
    GrantQuestion,
    LinkAnswer,
    PlanChangeAnswer,
    PlanChangeQuestion,
    TaxDetails,
)
from libs.common.tokens import TokenVerifier
from libs.common.web.guards import service_token
from services.billing.ports import Ports
from services.billing.use_cases import (
    billing,
    cancelling,
    checkout,
    details,
    invoices,
    plan_changes,
    plans,
    portal,
)


def routes(ports: Ports, verifier: TokenVerifier) -> Router:
    """What accounts asks, and what it wants done, of one account."""
    return Router(
        "/internal/accounts/{account_id:str}",
        route_handlers=[*_questions(ports), *_purchases(ports), *_changes(ports)],
        guards=[service_token(verifier, "accounts")],
    )


def _questions(ports: Ports) -> list[HTTPRouteHandler]:
    @get("/billing")
    async def show_billing(account_id: FromPath[str]) -> BillingAnswer:
        return await billing.show(ports, account_id)

    @get("/invoices/{invoice_id:str}/pdf")
    async def link_invoice(account_id: FromPath[str], invoice_id: FromPath[str]) -> LinkAnswer:
        return await invoices.link_pdf(ports, account_id, invoice_id)

    return [show_billing, link_invoice]


def _purchases(ports: Ports) -> list[HTTPRouteHandler]:
    @post("/checkout", status_code=200)
    async def start_checkout(
        account_id: FromPath[str], data: JSONBody[CheckoutQuestion]
    ) -> LinkAnswer:
        return await checkout.start(ports, account_id, data)

    @post("/portal", status_code=200)
    async def enter_portal(account_id: FromPath[str]) -> LinkAnswer:
        return await portal.enter(ports, account_id)

    @post("/plan-change", status_code=200)
    async def change_plan(
        account_id: FromPath[str], data: JSONBody[PlanChangeQuestion]
    ) -> PlanChangeAnswer:
        return await plan_changes.change(ports, account_id, data)

    return [start_checkout, enter_portal, change_plan]


def _changes(ports: Ports) -> list[HTTPRouteHandler]:
    """What Paddle is asked for is in the answer once its webhook has told it: seconds later."""

    @post("/cancel", status_code=200)
    async def cancel(account_id: FromPath[str], data: JSONBody[CancelQuestion]) -> BillingAnswer:
        await cancelling.cancel(ports, account_id, data)
        return await billing.show(ports, account_id)

    @put("/details")
    async def write_details(account_id: FromPath[str], data: JSONBody[TaxDetails]) -> BillingAnswer:
        await details.write(ports, account_id, data)
        return await billing.show(ports, account_id)

    @put("/plan")
    async def grant_plan(account_id: FromPath[str], data: JSONBody[GrantQuestion]) -> BillingAnswer:
        await plans.grant(ports, account_id, data.plan)
        return await billing.show(ports, account_id)

    return [cancel, write_details, grant_plan]
