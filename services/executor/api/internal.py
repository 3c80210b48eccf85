"""Questions of other services: `/internal`, on a port that no ingress routes."""

from typing import Literal

from litestar import Router, get
from litestar.params import FromPath, FromQuery
from msgspec import Raw

from libs.common.contracts.executor import ModelsAnswer
from libs.common.tokens import TokenVerifier
from libs.common.web.guards import service_token
from services.executor.use_cases.models import ModelLists


def routes(models: ModelLists, verifier: TokenVerifier) -> Router:
    """Who asks what: gateways about models."""

    @get("/projects/{project_id:str}/models", guards=[service_token(verifier, "gateway")])
    async def list_models(
        project_id: FromPath[str], mode: FromQuery[Literal["live", "test"]]
    ) -> ModelsAnswer:
        return ModelsAnswer(Raw(await models.find(project_id, mode)))

    return Router("/internal", route_handlers=[list_models])
