"""Every project has a data key, made once, which accounts cannot open."""

import asyncio

import pytest
from sqlalchemy import delete, func, select, update

from libs.common.content import DataKey
from libs.common.contracts.accounts import KeyDigests, data_key_context
from libs.common.contracts.plans import PlanName
from libs.common.crypto import SealBroken, SealingKey, SealingKeyring
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import ProjectNotFound
from services.accounts.domain.keys import NewKey
from services.accounts.models import Project, SealedDataKey
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, connections, key_contexts, keys, projects


@pytest.fixture
async def project(ports: Ports) -> Project:
    account = await accounts.create(ports, "Acme", PlanName.OPERATOR, actor=OPERATOR)
    return await projects.create(ports, account.id, "Chat", actor=OPERATOR)


async def issue(ports: Ports, project: Project) -> KeyDigests:
    wish = NewKey(project_id=project.id, mode="live", name="a key")
    issued = await keys.issue(ports, wish, actor=OPERATOR)
    return KeyDigests(ports.digest(issued.text).hex())


async def forget(ports: Ports, *, is_old: bool) -> None:
    """Drop all data keys; `is_old`: as if there had never been any."""
    async with ports.db.transaction() as tx:
        await tx.execute(delete(SealedDataKey))
        if is_old:
            await tx.execute(update(Project).values(data_key_made_at=None))


async def test_a_new_project_has_one_that_only_the_data_plane_opens(
    ports: Ports, project: Project, data_plane_key: SealingKey, executor_sealing_key: SealingKey
) -> None:
    told = await connections.show(ports, project.id)

    context = data_key_context(project.id)
    DataKey(SealingKeyring([data_plane_key]).open(told.sealed_data_key, context))
    for key in (executor_sealing_key, SealingKey.generate()):
        with pytest.raises(SealBroken):
            SealingKeyring([key]).open(told.sealed_data_key, context)


async def test_gateways_and_executors_are_told_the_same_one(ports: Ports, project: Project) -> None:
    key = await issue(ports, project)

    [context] = await key_contexts.resolve(ports, [key])

    told = await connections.show(ports, project.id)
    assert context.sealed_data_key == told.sealed_data_key


async def test_a_project_from_before_gets_one_at_the_first_question_whoever_asks(
    ports: Ports, project: Project
) -> None:
    key = await issue(ports, project)
    await forget(ports, is_old=True)

    async def ask_as_gateway() -> bytes:
        [context] = await key_contexts.resolve(ports, [key])
        return context.sealed_data_key

    async def ask_as_executor() -> bytes:
        return (await connections.show(ports, project.id)).sealed_data_key

    asking = [ask() for ask in (ask_as_gateway, ask_as_executor) for _ in range(4)]
    assert len(set(await asyncio.gather(*asking))) == 1
    async with ports.db.transaction() as tx:
        assert await tx.scalar(select(func.count()).select_from(SealedDataKey)) == 1


async def test_one_that_was_destroyed_is_never_replaced(ports: Ports, project: Project) -> None:
    key = await issue(ports, project)
    await forget(ports, is_old=False)

    assert await key_contexts.resolve(ports, [key]) == ()
    with pytest.raises(ProjectNotFound):
        await connections.show(ports, project.id)
    async with ports.db.transaction() as tx:
        assert await tx.scalar(select(func.count()).select_from(SealedDataKey)) == 0
