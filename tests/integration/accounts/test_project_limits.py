"""How many projects a plan has room for, also when many are asked for at once."""

import asyncio

import pytest

from libs.common.contracts.plans import PlanName
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import TooManyProjects
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, plans, projects
from tests.support.plans import plan_changed


async def test_an_account_has_as_many_projects_as_its_plan_has_room_for(ports: Ports) -> None:
    account = await accounts.create(ports, "Acme", PlanName.FREE, actor=OPERATOR)
    tries = await asyncio.gather(
        *(projects.create(ports, account.id, f"{n}", actor=OPERATOR) for n in range(5)),
        return_exceptions=True,
    )
    refused = [one for one in tries if isinstance(one, TooManyProjects)]
    (made,) = [one for one in tries if not isinstance(one, BaseException)]

    assert len(refused) == 4
    await projects.erase(ports, made.id, actor=OPERATOR, is_sure=True)
    await projects.create(ports, account.id, "in its place", actor=OPERATOR)
    with pytest.raises(TooManyProjects):
        await projects.create(ports, account.id, "one more", actor=OPERATOR)
    await plans.take(ports, plan_changed(account.id, PlanName.PRO))
    await projects.create(ports, account.id, "one more", actor=OPERATOR)
