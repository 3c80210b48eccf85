"""Restriction: all of an account's projects stand still, and go on exactly as before."""

import pytest
from sqlalchemy import select

from libs.common.outbox import OUTBOX
from services.accounts.domain.audit import OPERATOR, Change
from services.accounts.models import AuditEvent
from services.accounts.ports import Ports
from services.accounts.use_cases import projects, restriction
from tests.support.customers import customer


async def paused(ports: Ports, account_id: str) -> list[bool]:
    found = await projects.list_of(ports, account_id)
    return [(await projects.show_standing(ports, one.id)).is_paused for one in found]


@pytest.fixture
async def account_id(ports: Ports) -> str:
    """Of an account with two projects, the second paused by itself, and one that is erased."""
    account_id = (await customer(ports)).person.account_id
    await projects.create(ports, account_id, "one", actor=OPERATOR)
    two = await projects.create(ports, account_id, "two", actor=OPERATOR)
    three = await projects.create(ports, account_id, "three", actor=OPERATOR)
    await projects.pause(ports, two.id, actor=OPERATOR)
    await projects.erase(ports, three.id, actor=OPERATOR, is_sure=True)
    return account_id


async def test_all_projects_stand_still_and_afterwards_each_as_before(
    ports: Ports, account_id: str
) -> None:
    assert await paused(ports, account_id) == [False, True]

    await restriction.restrict(ports, account_id, actor=OPERATOR)
    await projects.create(ports, account_id, "made meanwhile", actor=OPERATOR)
    assert await paused(ports, account_id) == [True, True, True]

    await restriction.lift(ports, account_id, actor=OPERATOR)
    assert await paused(ports, account_id) == [False, True, False]


async def test_it_is_told_for_every_living_project_and_audited_once(
    ports: Ports, account_id: str
) -> None:
    for _ in range(2):
        await restriction.restrict(ports, account_id, actor=OPERATOR)
    async with ports.db.transaction() as tx:
        keys = list(await tx.scalars(select(OUTBOX.c.routing_key).order_by(OUTBOX.c.id)))
        whats = list(await tx.scalars(select(AuditEvent.what)))

    assert keys[-4:] == ["project.paused"] * 4
    assert whats.count(Change.ACCOUNT_RESTRICTED) == 1
