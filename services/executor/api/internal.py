"""Questions of other services: `/internal`, on a port that no ingress routes."""

from typing import Literal

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Raw

from libs.common.contracts.executor import (
    TEST_CONNECTION_PATH,
    ModelsAnswer,
    TestConnectionAnswer,
    TestConnectionQuestion,
)
from libs.common.tokens import TokenVerifier
from libs.common.web.guards import service_token
from services.executor.use_cases.connection_tests import ConnectionTests
from services.executor.use_cases.models import ModelLists


def routes(models: ModelLists, tests: ConnectionTests, verifier: TokenVerifier) -> Router:
    """Who asks what: gateways about models, accounts whether a connection is good."""

    @get("/projects/{project_id:str}/models", guards=[service_token(verifier, "gateway")])
    async def list_models(
        project_id: FromPath[str], mode: FromQuery[Literal["live", "test"]]
    ) -> ModelsAnswer:
        return ModelsAnswer(Raw(await models.find(project_id, mode)))

    @post(
        TEST_CONNECTION_PATH.removeprefix("/internal"),
        status_code=200,
        guards=[service_token(verifier, "accounts")],
    )
    async def test_connection(data: JSONBody[TestConnectionQuestion]) -> TestConnectionAnswer:
        return await tests.run(data)

    return Router("/internal", route_handlers=[list_models, test_connection])
