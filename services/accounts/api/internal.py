"""Questions of other services: `/internal`, on a port that no ingress routes."""

from litestar import Router, get, post
from litestar.params import FromPath, JSONBody

from libs.common.contracts.accounts import (
    ProjectStandingAnswer,
    ProviderConnectionAnswer,
    ResolveKeysAnswer,
    ResolveKeysQuestion,
)
from libs.common.tokens import TokenVerifier
from libs.common.web.guards import service_token
from services.accounts.ports import Ports
from services.accounts.use_cases import connections, key_contexts, projects


def routes(ports: Ports, verifier: TokenVerifier) -> Router:
    """Who asks what: gateways about keys, executors about projects."""

    @post(
        "/api-keys/resolve",
        status_code=200,
        guards=[service_token(verifier, "gateway")],
    )
    async def resolve_keys(data: JSONBody[ResolveKeysQuestion]) -> ResolveKeysAnswer:
        return ResolveKeysAnswer(await key_contexts.resolve(ports, data.keys))

    @get(
        "/projects/{project_id:str}/provider-connection",
        guards=[service_token(verifier, "executor")],
    )
    async def show_connection(project_id: FromPath[str]) -> ProviderConnectionAnswer:
        return await connections.show(ports, project_id)

    @get("/projects/{project_id:str}/standing", guards=[service_token(verifier, "executor")])
    async def show_standing(project_id: FromPath[str]) -> ProjectStandingAnswer:
        return await projects.show_standing(ports, project_id)

    return Router("/internal", route_handlers=[resolve_keys, show_connection, show_standing])
