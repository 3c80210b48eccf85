"""Models of many projects, of which some have a provider that does not answer."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx2
import pytest
from litestar import get
from litestar.params import FromPath, FromQuery
from msgspec import Raw

from deploy.local.ports import free_ports
from libs.common.clock import SystemClock
from libs.common.contracts.executor import ModelsAnswer, models_path
from libs.common.tokens import ServiceTokens
from libs.common.web.app import create, serve
from services.gateway.adapters.executors import TIMEOUT_SECONDS, HttpModels
from services.gateway.domain.errors import ModelsAway
from tests.support.service_keys import ServiceKey
from tests.support.waiting import until

CONNECTIONS = 2
MODELS = b'[{"id":"gpt-5-nano"}]'


class Executor:
    """Answers at once, but for projects whose name begins with `slow`."""

    def __init__(self) -> None:
        self.port, self.asked, self.is_open = free_ports(), Counter[str](), asyncio.Event()
        self.stop = asyncio.Event()

    async def serve(self) -> None:
        @get(models_path("{project_id:str}"))
        async def list_models(project_id: FromPath[str], mode: FromQuery[str]) -> ModelsAnswer:
            self.asked[f"{project_id} {mode}"] += 1
            if project_id.startswith("slow"):
                await self.is_open.wait()
            return ModelsAnswer(Raw(MODELS))

        await serve(create([list_models]), "127.0.0.1", self.port)(self.stop)


@pytest.fixture
async def executor() -> AsyncIterator[Executor]:
    made = Executor()
    serving = asyncio.create_task(made.serve())
    yield made
    made.is_open.set()
    made.stop.set()
    await serving


@pytest.fixture
async def models(executor: Executor, gateway_key: ServiceKey) -> AsyncIterator[HttpModels]:
    url = f"http://127.0.0.1:{executor.port}"
    limits = httpx2.Limits(max_connections=CONNECTIONS)
    tokens = ServiceTokens(
        "gateway", gateway_key.key_id, gateway_key.private.reveal(), SystemClock()
    )
    async with httpx2.AsyncClient(base_url=url, trust_env=False, limits=limits) as client:
        made = HttpModels(client, tokens)
        await until(lambda: _answers(made))
        yield made


async def _answers(models: HttpModels) -> bool:
    try:
        return bool(await models.list_models("first", "live"))
    except ModelsAway:
        return False


async def test_a_provider_that_does_not_answer_holds_one_connection_however_many_ask(
    executor: Executor, models: HttpModels
) -> None:
    waiting = [
        asyncio.create_task(models.list_models("slow", "live")) for _ in range(10 * CONNECTIONS)
    ]
    await until(lambda: executor.asked["slow live"] > 0)

    assert bytes(await models.list_models("quick", "live")) == MODELS
    waiting.pop().cancel()  # who asked first, or not, takes nobody along
    waiting.pop(0).cancel()
    executor.is_open.set()
    assert {bytes(one) for one in await asyncio.gather(*waiting)} == {MODELS}
    assert executor.asked["slow live"] == 1
    assert bytes(await models.list_models("slow", "live")) == MODELS
    assert executor.asked["slow live"] == 2


async def test_where_all_connections_wait_for_providers_the_next_one_hears_so_soon(
    executor: Executor, models: HttpModels
) -> None:
    names = [f"slow-{number}" for number in range(CONNECTIONS)]
    waiting = [asyncio.create_task(models.list_models(name, "live")) for name in names]
    await until(lambda: len(executor.asked) == 1 + CONNECTIONS)
    began_at = time.monotonic()

    with pytest.raises(ModelsAway):
        await models.list_models("quick", "live")

    assert time.monotonic() - began_at < TIMEOUT_SECONDS / 2
    executor.is_open.set()
    await asyncio.gather(*waiting)
