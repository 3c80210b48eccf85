"""The questions other services ask, over HTTP."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, cast

import httpx2
import msgspec
import pytest

from libs.common.content import DataKey
from libs.common.contracts.accounts import (
    RESOLVE_KEYS_PATH,
    ProjectStandingAnswer,
    ProviderConnectionAnswer,
    ResolveKeysAnswer,
    SealedConnection,
    data_key_context,
    project_standing_path,
    provider_connection_path,
)
from libs.common.contracts.plans import PlanName
from libs.common.crypto import SealingKey, SealingKeyring
from libs.common.settings import Secret
from services.accounts import app
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.keys import NewKey
from services.accounts.models import Project
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from services.accounts.use_cases import accounts, connections, keys, projects
from tests.support.frozen_clock import FrozenClock
from tests.support.service_keys import ServiceKey


@pytest.fixture
async def web(settings: Settings, ports: Ports) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(cast("Any", app.make_web(settings, ports)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://accounts") as client:
        yield client


@pytest.fixture
async def project(ports: Ports) -> Project:
    account = await accounts.create(ports, "Acme", PlanName.OPERATOR, actor=OPERATOR)
    return await projects.create(ports, account.id, "Chat", actor=OPERATOR)


class Asker:
    """Asks with the token of any service, made at any time."""

    def __init__(self, web: httpx2.AsyncClient, clock: FrozenClock, *keys: ServiceKey) -> None:
        self._web, self._clock = web, clock
        self._keys = {key.issuer: key for key in keys}

    async def ask_about_keys(self, issuer: str, audience: str, age: timedelta) -> httpx2.Response:
        made_at = FrozenClock(self._clock.now() - age)
        headers = self._keys[issuer].headers(audience, made_at)
        return await self._web.post(RESOLVE_KEYS_PATH, json={"keys": []}, headers=headers)


@pytest.fixture
def asker(
    web: httpx2.AsyncClient,
    clock: FrozenClock,
    gateway_key: ServiceKey,
    executor_key: ServiceKey,
) -> Asker:
    return Asker(web, clock, gateway_key, executor_key, ServiceKey("stranger"))


async def test_a_gateway_learns_whose_a_key_is(
    web: httpx2.AsyncClient,
    ports: Ports,
    project: Project,
    gateway_key: ServiceKey,
    clock: FrozenClock,
) -> None:
    wish = NewKey(project_id=project.id, mode="test", name="a key")
    digest = ports.digest((await keys.issue(ports, wish, actor=OPERATOR)).text).hex()

    answer = await web.post(
        RESOLVE_KEYS_PATH,
        json={"keys": [{"digest": digest}, {"digest": "00" * 32}]},
        headers=gateway_key.headers("accounts", clock),
    )

    assert answer.status_code == 200
    [context] = msgspec.json.decode(answer.content, type=ResolveKeysAnswer).contexts
    assert (context.digest, context.project_id, context.mode) == (digest, project.id, "test")


async def test_an_executor_gets_the_provider_connection(
    web: httpx2.AsyncClient,
    ports: Ports,
    project: Project,
    executor_key: ServiceKey,
    data_plane_key: SealingKey,
) -> None:
    path = provider_connection_path(project.id)
    headers = executor_key.headers("accounts", ports.clock)
    before = await web.get(path, headers=headers)
    assert msgspec.json.decode(before.content, type=ProviderConnectionAnswer).connection is None

    wish = connections.NewConnection(
        project_id=project.id, base_url="https://api.openai.com/v1/", key=Secret("sk-1")
    )
    made = await connections.put(ports, wish, actor=OPERATOR)

    answer = await web.get(path, headers=headers)
    assert answer.status_code == 200
    told = msgspec.json.decode(answer.content, type=ProviderConnectionAnswer)
    assert told.project_id == project.id
    assert told.connection == SealedConnection(
        connection_id=made.id,
        base_url="https://api.openai.com/v1",
        sealed_key=made.sealed_key,
    )
    DataKey(
        SealingKeyring([data_plane_key]).open(told.sealed_data_key, data_key_context(project.id))
    )


async def test_an_executor_learns_how_a_project_stands(
    web: httpx2.AsyncClient, ports: Ports, project: Project, executor_key: ServiceKey
) -> None:
    headers = executor_key.headers("accounts", ports.clock)

    async def ask() -> tuple[bool, bool]:
        answer = await web.get(project_standing_path(project.id), headers=headers)
        told = msgspec.json.decode(answer.content, type=ProjectStandingAnswer)
        return told.is_paused, told.is_deleted

    assert await ask() == (False, False)
    await projects.pause(ports, project.id, actor=OPERATOR)
    assert await ask() == (True, False)
    await projects.erase(ports, project.id, actor=OPERATOR, is_sure=True)
    assert (await ask())[1] is True


@pytest.mark.parametrize("path", [provider_connection_path, project_standing_path])
@pytest.mark.parametrize(
    "project_id", ["prj_01jd0000000000000000000000", "prj_none", "%00", "%ff", "a" * 500]
)
async def test_an_unknown_project_is_404(
    web: httpx2.AsyncClient,
    executor_key: ServiceKey,
    clock: FrozenClock,
    path: Callable[[str], str],
    project_id: str,
) -> None:
    headers = executor_key.headers("accounts", clock)

    answer = await web.get(path(project_id), headers=headers)

    assert error_of(answer) == (404, "project_not_found")


@pytest.mark.parametrize(
    ("issuer", "audience", "age", "expected"),
    [
        ("gateway", "accounts", 0, 200),
        ("gateway", "billing", 0, 401),
        ("gateway", "accounts", 71, 401),
        ("gateway", "accounts", -11, 401),
        ("executor", "accounts", 0, 403),
        ("stranger", "accounts", 0, 401),
    ],
)
async def test_only_a_gateway_with_a_fresh_token_for_us_may_ask_about_keys(
    asker: Asker, issuer: str, audience: str, age: int, expected: int
) -> None:
    answer = await asker.ask_about_keys(issuer, audience, timedelta(seconds=age))

    assert answer.status_code == expected


async def test_a_stranger_who_signs_under_a_known_key_id_is_refused(
    web: httpx2.AsyncClient, clock: FrozenClock
) -> None:
    headers = ServiceKey("gateway").headers("accounts", clock)

    answer = await web.post(RESOLVE_KEYS_PATH, json={"keys": []}, headers=headers)

    assert answer.status_code == 401


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer x", "Basic eDp4"])
async def test_without_a_service_token_nothing_is_told(
    web: httpx2.AsyncClient, project: Project, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}

    asked = await web.post(RESOLVE_KEYS_PATH, json={"keys": []}, headers=headers)
    shown = await web.get(provider_connection_path(project.id), headers=headers)

    assert (asked.status_code, shown.status_code) == (401, 401)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"keys": 1}',
        b'{"keys": [1]}',
        b'{"keys": [{"digest": "zz"}]}',
        b'{"keys": [{"digest": "' + b"00" * 32 + b'", "older": ["zz"]}]}',
        b"\xff",
        b'{"keys": [{"digest": "' + b"00" * 32 + b'"}' + b',{"' * 300,
    ],
)
async def test_a_malformed_question_is_400_in_json(
    web: httpx2.AsyncClient, gateway_key: ServiceKey, clock: FrozenClock, body: bytes
) -> None:
    headers = {"content-type": "application/json", **gateway_key.headers("accounts", clock)}

    answer = await web.post(RESOLVE_KEYS_PATH, content=body, headers=headers)

    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "code"}


async def test_health_needs_no_token(web: httpx2.AsyncClient) -> None:
    answers = [await web.get(path) for path in ("/healthz", "/readyz", "/metrics")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


def error_of(answer: httpx2.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()["error"]["code"]
