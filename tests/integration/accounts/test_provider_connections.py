"""Provider keys: written by accounts, read by executors only."""

from datetime import timedelta

import msgspec
import pytest

from libs.common.contracts.accounts import SealedConnection, provider_key_context
from libs.common.contracts.executor import TestConnectionAnswer, TestConnectionQuestion
from libs.common.contracts.plans import PlanName
from libs.common.crypto import SealBroken, SealingKey, SealingKeyring
from libs.common.settings import Secret
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import (
    InvalidBaseUrl,
    InvalidProviderKey,
    ProjectNotFound,
    TooManyTries,
)
from services.accounts.domain.keys import NewKey
from services.accounts.models import Project
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from services.accounts.use_cases import accounts, connections, keys, projects
from services.accounts.use_cases.connections import NewConnection
from tests.support.frozen_clock import FrozenClock

PROVIDER_KEY = "sk-proj-0123456789abcdefWXYZ"
BASE_URL = "https://api.openai.com/v1"


@pytest.fixture
async def project(ports: Ports) -> Project:
    account = await accounts.create(ports, "Acme", PlanName.OPERATOR, actor=OPERATOR)
    return await projects.create(ports, account.id, "Chat", actor=OPERATOR)


async def put(ports: Ports, project_id: str, key: str = PROVIDER_KEY, url: str = BASE_URL) -> str:
    wish = NewConnection(project_id=project_id, base_url=url, key=Secret(key))
    return (await connections.put(ports, wish, actor=OPERATOR)).id


async def shown_connection(ports: Ports, project_id: str) -> SealedConnection:
    connection = (await connections.show(ports, project_id)).connection
    assert connection is not None
    return connection


async def test_the_executor_opens_the_provider_key(
    ports: Ports, project: Project, executor_sealing_key: SealingKey
) -> None:
    await put(ports, project.id)

    shown = await shown_connection(ports, project.id)

    context = provider_key_context(shown.connection_id, project.id)
    opened = SealingKeyring([executor_sealing_key]).open(shown.sealed_key, context)
    assert opened.decode() == PROVIDER_KEY


async def test_nothing_that_accounts_holds_opens_it(
    ports: Ports, project: Project, settings: Settings
) -> None:
    await put(ports, project.id)
    shown = await shown_connection(ports, project.id)
    context = provider_key_context(shown.connection_id, project.id)

    # Every text of the settings that could be a private key, and the public key taken for one.
    public = (settings.executor_public_key, settings.data_plane_public_key)
    texts = [*public, settings.api_key_pepper.reveal()]
    for text in texts:
        with pytest.raises(SealBroken):
            SealingKeyring([SealingKey.from_text(text)]).open(shown.sealed_key, context)


async def test_a_key_moved_into_another_project_does_not_open(
    ports: Ports, project: Project, executor_sealing_key: SealingKey
) -> None:
    other = await projects.create(ports, project.account_id, "Thief", actor=OPERATOR)
    await put(ports, project.id)
    moved_to = await put(ports, other.id, "sk-other")
    stolen = await shown_connection(ports, project.id)

    context = provider_key_context(moved_to, other.id)
    with pytest.raises(SealBroken):
        SealingKeyring([executor_sealing_key]).open(stolen.sealed_key, context)


async def test_a_connection_set_anew_replaces_the_old_one_under_a_new_id(
    ports: Ports, project: Project, executor_sealing_key: SealingKey
) -> None:
    first = await put(ports, project.id)
    second = await put(ports, project.id, "sk-second", "https://example.com/v1/")

    shown = await shown_connection(ports, project.id)

    assert first != second == shown.connection_id
    assert shown.base_url == "https://example.com/v1"
    context = provider_key_context(second, project.id)
    assert SealingKeyring([executor_sealing_key]).open(shown.sealed_key, context) == b"sk-second"


async def test_what_is_refused_leaves_no_trace(ports: Ports, project: Project) -> None:
    with pytest.raises(InvalidBaseUrl):
        await put(ports, project.id, url="http://api.openai.com/v1")
    with pytest.raises(InvalidProviderKey):
        await put(ports, project.id, key="")
    with pytest.raises(ProjectNotFound):
        await put(ports, "prj_none")

    seen = await accounts.show(ports, project.account_id)
    assert seen.projects[0].connection is None
    assert {event.what for event in seen.events} == {"account.created", "project.created"}


async def test_every_change_of_access_is_audited(ports: Ports, project: Project) -> None:
    connection_id = await put(ports, project.id)
    wish = NewKey(project_id=project.id, mode="live", name="a key")
    key = await keys.issue(ports, wish, actor=OPERATOR)
    await keys.revoke(ports, key.id, actor=OPERATOR)

    seen = await accounts.show(ports, project.account_id)

    assert [(event.what, event.subject_id, event.actor) for event in seen.events] == [
        ("api_key.revoked", key.id, "operator"),
        ("api_key.issued", key.id, "operator"),
        ("provider_connection.set", connection_id, "operator"),
        ("project.created", project.id, "operator"),
        ("account.created", project.account_id, "operator"),
    ]
    assert {event.at for event in seen.events} == {ports.clock.now()}


class Executors:
    """Notes what is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def test(self, _: TestConnectionQuestion) -> TestConnectionAnswer:
        self.asked += 1
        return TestConnectionAnswer(is_good=True, code="good", message="", models=1, took=0.1)


async def test_an_account_has_its_connections_tested_thirty_times_an_hour_at_most(
    ports: Ports, project: Project, clock: FrozenClock
) -> None:
    executors = Executors()
    ports = msgspec.structs.replace(ports, executors=executors)
    second = await projects.create(ports, project.account_id, "Second", actor=OPERATOR)
    for one in (project, second):
        await put(ports, one.id)
    for number in range(30):
        await connections.test(ports, (project, second)[number % 2].id, actor=OPERATOR)

    with pytest.raises(TooManyTries):
        await connections.test(ports, project.id, actor=OPERATOR)
    assert executors.asked == 30

    other = await accounts.create(ports, "Other", PlanName.OPERATOR, actor=OPERATOR)
    another = await projects.create(ports, other.id, "Chat", actor=OPERATOR)
    await put(ports, another.id)
    await connections.test(ports, another.id, actor=OPERATOR)
    clock.advance(timedelta(hours=1))
    await connections.test(ports, project.id, actor=OPERATOR)
