"""Questions of accounts, for its dashboard and its operator: `/internal`, on a port of its own."""

from litestar import Router, get, put
from litestar.params import FromPath, JSONBody

from libs.common.contracts.billing import BillingAnswer, GrantQuestion
from libs.common.tokens import TokenVerifier
from libs.common.web.guards import service_token
from services.billing.ports import Ports
from services.billing.use_cases import billing, plans


def routes(ports: Ports, verifier: TokenVerifier) -> Router:
    """What accounts asks of one account."""

    @get("/billing")
    async def show_billing(account_id: FromPath[str]) -> BillingAnswer:
        return await billing.show(ports, account_id)

    @put("/plan")
    async def grant_plan(account_id: FromPath[str], data: JSONBody[GrantQuestion]) -> BillingAnswer:
        await plans.grant(ports, account_id, data.plan)
        return await billing.show(ports, account_id)

    return Router(
        "/internal/accounts/{account_id:str}",
        route_handlers=[show_billing, grant_plan],
        guards=[service_token(verifier, "accounts")],
    )
