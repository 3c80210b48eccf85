"""`GET /internal/projects/…/models`: a provider's own list, asked for by gateways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import httpx2
import msgspec
import pytest

from libs.common.clock import SystemClock
from libs.common.content import DataKey, new_data_key
from libs.common.contracts.accounts import SealedConnection
from libs.common.contracts.executor import AUDIENCE, ModelsAnswer, models_path
from libs.common.errors import Unavailable
from libs.common.settings import Secret
from libs.common.tokens import TokenVerifier
from libs.common.web.app import create
from services.executor.adapters.provider import ProviderOptions
from services.executor.api import internal
from services.executor.domain.calls import ProviderConnection
from services.executor.ports import Project
from services.executor.use_cases import models
from services.executor.use_cases.connection_tests import ConnectionTests
from services.executor.use_cases.models import ModelLists
from tests.support.provider_calls import KEY, LOOPBACK, provider_with
from tests.support.raw_server import always, raw_server, reply, silence
from tests.support.service_keys import ServiceKey
from tests.support.simulator import simulator

GATEWAY, BILLING = ServiceKey("gateway"), ServiceKey("billing")
LIST = b'{"object":"list", "data": [ {"id":"gpt-5-nano","\xc3\xa9":1e400} ], "more":1}'


class OneProject:
    """Knows `prj_a`, with or without a provider; or nothing, in an outage."""

    def __init__(self, base_url: str | None) -> None:
        self.base_url = base_url
        self.connection_id = "con_1"
        self.is_away = False

    async def find(self, project_id: str, mode: str) -> Project | None:
        if self.is_away:
            raise Unavailable("Accounts is away.")
        if project_id != "prj_a" or mode not in ("live", "test"):
            return None
        return Project(DataKey(new_data_key()), self._connection())

    def _connection(self) -> ProviderConnection | None:
        if self.base_url is None:
            return None
        return ProviderConnection(
            connection_id=self.connection_id, base_url=self.base_url, key=Secret(KEY)
        )


class NoSeals:
    """Nobody asks it here."""

    def open_connection(self, project_id: str, sealed: SealedConnection) -> ProviderConnection:
        raise NotImplementedError


class Asker:
    """Asks as a gateway."""

    def __init__(self, web: httpx2.AsyncClient, projects: OneProject) -> None:
        self.web, self.projects = web, projects

    async def ask(
        self, project_id: str = "prj_a", mode: str = "live", key: ServiceKey = GATEWAY
    ) -> httpx2.Response:
        headers = key.headers(AUDIENCE, SystemClock())
        return await self.web.get(models_path(project_id), params={"mode": mode}, headers=headers)


@asynccontextmanager
async def asking(base_url: str | None, options: ProviderOptions = LOOPBACK) -> AsyncIterator[Asker]:
    projects = OneProject(base_url)
    verifier = TokenVerifier(
        {key.key_id: key.public for key in (GATEWAY, BILLING)}, AUDIENCE, SystemClock()
    )
    async with provider_with(options) as provider:
        tests = ConnectionTests(NoSeals(), provider)
        app = create([internal.routes(ModelLists(projects, provider), tests, verifier)])
        transport = httpx2.ASGITransport(cast("Any", app))
        async with httpx2.AsyncClient(transport=transport, base_url="http://executor") as web:
            yield Asker(web, projects)


def error_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_the_simulators_list_comes_back_as_openai_would_send_it() -> None:
    async with simulator() as origin, asking(f"{origin}/v1") as asker:
        answer = await asker.ask(mode="test")

    listed = msgspec.json.decode(msgspec.json.decode(answer.content, type=ModelsAnswer).models)
    assert {"id": "sim-ok", "object": "model", "created": 0, "owned_by": "simulator"} in listed


async def test_the_list_is_passed_on_byte_for_byte_and_asked_for_with_the_projects_key() -> None:
    async with raw_server(always(reply("200 OK", LIST))) as server, asking(server.url) as asker:
        answer = await asker.ask()

    told = msgspec.json.decode(answer.content, type=ModelsAnswer)
    assert bytes(told.models) == b'[ {"id":"gpt-5-nano","\xc3\xa9":1e400} ]'
    [(head, body)] = server.requests
    assert head.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert f"Authorization: Bearer {KEY}\r\n".encode() in head
    assert body == b""


async def test_a_connection_is_asked_once_a_minute_however_many_want_to_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with raw_server(always(reply("200 OK", LIST))) as server, asking(server.url) as asker:
        answers = await asyncio.gather(*(asker.ask() for _ in range(10)))
        assert {answer.status_code for answer in answers} == {200}
        assert len(server.requests) == 1

        asker.projects.connection_id = "con_2"
        await asker.ask()
        assert len(server.requests) == 2

        monkeypatch.setattr(models, "KEPT", timedelta())
        await asker.ask()
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    "answer",
    [
        reply("401 Unauthorized", b'{"error":{"message":"canary"}}'),
        reply("302 Found", b"", "Location: http://127.0.0.1:1/"),
        reply("500 Oops", b"canary"),
        reply("200 OK", b"<html>canary</html>"),
        reply("200 OK", b"[]"),
        reply("200 OK", b'{"data":{}}'),
        reply("200 OK", b'{"data":[1,]}'),
        reply("200 OK", b'{"data":["\xff"]}'),
        reply("200 OK", b'{"object":"list"}'),
        reply("200 OK", b'{"data":["' + b"x" * models.MAX_BYTES + b'"]}'),
        b"canary\r\n\r\n",
    ],
)
async def test_what_is_no_list_is_unavailable_and_is_not_asked_for_again_at_once(
    answer: bytes,
) -> None:
    async with raw_server(always(answer)) as server, asking(server.url) as asker:
        first, second = [await asker.ask() for _ in range(2)]

    assert error_of(first) == error_of(second) == (503, "models_unavailable")
    assert first.headers["retry-after"] == "5"
    assert "canary" not in first.text
    assert len(server.requests) == 1


async def test_a_provider_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "TIMEOUT", timedelta(milliseconds=100))
    async with raw_server(silence) as server, asking(server.url) as asker:
        assert error_of(await asker.ask()) == (503, "models_unavailable")


async def test_a_private_address_is_not_asked() -> None:
    async with (
        raw_server(always(reply("200 OK", LIST))) as server,
        asking(server.url.replace("http:", "https:"), ProviderOptions()) as asker,
    ):
        assert error_of(await asker.ask()) == (503, "models_unavailable")

    assert server.connections == 0


async def test_what_is_not_there_is_said_and_an_outage_is_an_outage() -> None:
    async with asking(None) as asker:
        assert error_of(await asker.ask()) == (404, "no_provider_connection")
        assert error_of(await asker.ask("prj_none")) == (404, "project_not_found")
        assert (await asker.ask(mode="other")).status_code == 400
        asker.projects.is_away = True
        assert error_of(await asker.ask()) == (503, "unavailable")


async def test_only_a_gateway_may_ask() -> None:
    async with asking(None) as asker:
        assert (await asker.ask(key=BILLING)).status_code == 403
        assert (await asker.ask(key=ServiceKey("gateway"))).status_code == 401
        assert (await asker.web.get(models_path("prj_a"))).status_code == 401
