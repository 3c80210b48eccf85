"""Projects: set, paused, resumed, erased; and what is told of it."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from libs.common.contracts.accounts import (
    KeyDigests,
    ProjectDeleted,
    ProjectPaused,
    ProjectResumed,
)
from libs.common.contracts.event import encode
from libs.common.contracts.plans import PlanName
from libs.common.outbox import OUTBOX
from libs.common.settings import Secret
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import ErasureNotConfirmed, ProjectNotFound
from services.accounts.domain.keys import NewKey
from services.accounts.domain.projects import ProjectSettings
from services.accounts.models import ApiKey, Project, ProviderConnection, SealedDataKey
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, connections, key_contexts, keys, projects
from services.accounts.use_cases.connections import NewConnection


@pytest.fixture
async def project(ports: Ports) -> Project:
    account = await accounts.create(ports, "Acme", PlanName.OPERATOR, actor=OPERATOR)
    return await projects.create(ports, account.id, "Chat", actor=OPERATOR)


async def issue(ports: Ports, project: Project) -> keys.IssuedKey:
    wish = NewKey(project_id=project.id, mode="live", name="a key")
    return await keys.issue(ports, wish, actor=OPERATOR)


async def connect(ports: Ports, project: Project) -> None:
    wish = NewConnection(
        project_id=project.id, base_url="https://api.openai.com/v1", key=Secret("sk-1")
    )
    await connections.put(ports, wish, actor=OPERATOR)


async def told(ports: Ports) -> list[bytes]:
    """What the outbox holds of projects."""
    query = (
        select(OUTBOX.c.body).where(OUTBOX.c.routing_key.like("project.%")).order_by(OUTBOX.c.id)
    )
    async with ports.db.transaction() as tx:
        return list(await tx.scalars(query))


async def audited(ports: Ports, project: Project) -> list[str]:
    seen = await accounts.show(ports, project.account_id)
    return [event.what for event in reversed(seen.events)]


async def test_pause_and_resume_are_told_each_time_and_audited_once(
    ports: Ports, project: Project
) -> None:
    for _ in range(2):
        assert (await projects.pause(ports, project.id, actor=OPERATOR)).is_paused
    for _ in range(2):
        assert not (await projects.resume(ports, project.id, actor=OPERATOR)).is_paused

    paused, resumed = ProjectPaused(project_id=project.id), ProjectResumed(project_id=project.id)
    assert await told(ports) == [encode(one) for one in (paused, paused, resumed, resumed)]
    changes = await audited(ports, project)
    assert changes == ["account.created", "project.created", "project.paused", "project.resumed"]


async def test_erasing_leaves_nothing_that_opens_content_or_provider(
    ports: Ports, project: Project
) -> None:
    key = await issue(ports, project)
    await connect(ports, project)

    erased = await projects.erase(ports, project.id, actor=OPERATOR, is_sure=True)

    assert erased.deleted_at == ports.clock.now()
    async with ports.db.transaction() as tx:
        for kind in (SealedDataKey, ProviderConnection):
            assert await tx.scalar(select(func.count()).select_from(kind)) == 0
        kept = await tx.get(ApiKey, key.id)
    assert kept is not None
    assert kept.revoked_at == ports.clock.now()
    asked = KeyDigests(ports.digest(key.text).hex())
    assert await key_contexts.resolve(ports, [asked]) == ()
    with pytest.raises(ProjectNotFound):
        await connections.show(ports, project.id)
    assert await told(ports) == [encode(ProjectDeleted(project_id=project.id))]


async def test_erasing_again_is_told_again_and_changes_nothing(
    ports: Ports, project: Project
) -> None:
    for _ in range(2):
        await projects.erase(ports, project.id, actor=OPERATOR, is_sure=True)

    assert len(await told(ports)) == 2
    assert (await audited(ports, project)).count("project.deleted") == 1


async def test_without_a_yes_nothing_is_erased(ports: Ports, project: Project) -> None:
    with pytest.raises(ErasureNotConfirmed):
        await projects.erase(ports, project.id, actor=OPERATOR, is_sure=False)

    assert await told(ports) == []
    await connections.show(ports, project.id)


async def test_an_erased_project_takes_nothing_more(ports: Ports, project: Project) -> None:
    key = await issue(ports, project)
    await projects.erase(ports, project.id, actor=OPERATOR, is_sure=True)

    for attempt in (
        issue(ports, project),
        connect(ports, project),
        keys.rotate(ports, key.id, timedelta(), actor=OPERATOR),
        projects.pause(ports, project.id, actor=OPERATOR),
        projects.resume(ports, project.id, actor=OPERATOR),
        projects.change(ports, project.id, ProjectSettings(running=1), actor=OPERATOR),
    ):
        with pytest.raises(ProjectNotFound):
            await attempt


async def test_what_is_added_while_a_project_is_erased_waits_and_is_refused(
    ports: Ports, project: Project
) -> None:
    async with ports.db.transaction() as tx:
        locked = await tx.get(Project, project.id, with_for_update=True)
        assert locked is not None
        adding = asyncio.gather(
            issue(ports, project), connect(ports, project), return_exceptions=True
        )
        await asyncio.wait([adding], timeout=0.2)
        assert not adding.done()
        locked.deleted_at = ports.clock.now()

    assert [type(answer) for answer in await adding] == [ProjectNotFound, ProjectNotFound]


async def test_settings_reach_the_gateway_as_far_as_the_account_goes(
    ports: Ports, project: Project
) -> None:
    key = await issue(ports, project)
    wish = ProjectSettings(
        requests_per_minute=10,
        running=10_000,
        retention=timedelta(hours=2),
        on_unknown_outcome="fail",
        allowed_addresses=("192.0.2.0/24",),
    )

    await projects.change(ports, project.id, wish, actor=OPERATOR)

    [context] = await key_contexts.resolve(ports, [KeyDigests(ports.digest(key.text).hex())])
    assert (context.limits.requests_per_minute, context.limits.running) == (10, 2_048)
    assert (context.retention_seconds, context.on_unknown_outcome) == (7_200, "fail")
    assert context.allowed_addresses == ("192.0.2.0/24",)
    assert (await audited(ports, project))[-1] == "project.set"
