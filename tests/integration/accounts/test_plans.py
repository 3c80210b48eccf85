"""Plans as billing tells them, and what less of one takes away: room for more, nothing that is."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import select

from libs.common.contracts.accounts import AccountCreated, KeyContext, KeyDigests
from libs.common.contracts.billing import GrantQuestion
from libs.common.contracts.event import encode
from libs.common.contracts.plans import PLANS, PlanName
from libs.common.outbox import OUTBOX
from services.accounts.domain.audit import OPERATOR, Filter, Group
from services.accounts.domain.errors import AccountNotFound, BillingAway, TooManyProjects
from services.accounts.domain.keys import NewKey, Purpose
from services.accounts.domain.projects import ProjectSettings
from services.accounts.models import Account, Project
from services.accounts.ports import Ports
from services.accounts.use_cases import (
    accounts,
    audit,
    deletion,
    key_contexts,
    keys,
    plans,
    projects,
)
from tests.support.billing_stand_in import BillingStandIn
from tests.support.customers import customer
from tests.support.frozen_clock import FrozenClock
from tests.support.plans import plan_changed


@pytest.fixture
async def account(ports: Ports) -> Account:
    return await accounts.create(ports, "Acme", PlanName.FREE, actor=OPERATOR)


@pytest.fixture
async def project(ports: Ports, account: Account) -> Project:
    return await projects.create(ports, account.id, "Chat", actor=OPERATOR)


@pytest.fixture
def billing() -> BillingStandIn:
    return BillingStandIn()


@pytest.fixture
def ports_out(ports: Ports, billing: BillingStandIn) -> Ports:
    """With a billing that answers."""
    return msgspec.structs.replace(ports, billing=billing)


async def now_of(ports: Ports, account: Account) -> Account:
    return await accounts.get(ports, account.id)


async def context_of(ports: Ports, project: Project) -> KeyContext:
    wish = NewKey(project_id=project.id, mode="test", name="mine", purpose=Purpose.OWN_CODE)
    issued = await keys.issue(ports, wish, actor=OPERATOR)
    [context] = await key_contexts.resolve(ports, [KeyDigests(ports.digest(issued.text).hex())])
    return context


async def told(ports: Ports, account: Account) -> list[tuple[str, str | None]]:
    """Of money, the oldest first: who, and what became of it."""
    page = await audit.list_page(ports, account.id, Filter(group=Group.MONEY))
    return [(event.actor, event.detail) for event in reversed(page.events)]


async def test_a_new_plans_limits_and_periods_hold_at_the_next_question_about_a_key(
    ports: Ports, account: Account, project: Project
) -> None:
    await plans.take(ports, plan_changed(account.id, PlanName.PRO, anchor_day=17))

    context = await context_of(ports, project)
    assert context.limits == PLANS[PlanName.PRO].limits
    assert context.retention_seconds == PLANS[PlanName.PRO].retention.total_seconds()
    assert context.metadata_retention_seconds == PLANS[PlanName.PRO].metadata.total_seconds()
    assert context.anchor_day == 17
    assert await told(ports, account) == [("billing", "free → pro")]


async def test_what_comes_twice_or_late_changes_nothing(ports: Ports, account: Account) -> None:
    second = plan_changed(account.id, PlanName.SCALE, version=2, anchor_day=5)
    for event in (second, plan_changed(account.id, PlanName.PRO, version=1), second):
        await plans.take(ports, event)

    now = await now_of(ports, account)
    assert (now.plan, now.plan_version, now.anchor_day) == ("scale", 2, 5)
    assert len(await told(ports, account)) == 1


async def test_another_day_alone_leaves_the_copy_of_the_plan_as_it_was(
    ports: Ports, account: Account
) -> None:
    """A new catalogue changes nobody's limits silently."""
    async with ports.db.transaction() as tx:
        (await tx.get_one(Account, account.id)).pending = 7

    await plans.take(ports, plan_changed(account.id, PlanName.FREE, anchor_day=9))

    now = await now_of(ports, account)
    assert (now.pending, now.anchor_day) == (7, 9)
    assert await told(ports, account) == [("billing", "free, periods begin on day 9")]


async def test_of_an_account_that_was_erased_or_never_was_nothing_is_known(
    ports: Ports, clock: FrozenClock
) -> None:
    person = (await customer(ports)).person
    await deletion.start(ports, person.id, actor=OPERATOR)
    clock.advance(timedelta(days=8))
    assert await deletion.carry_out_due(ports) == 1

    for account_id in (person.account_id, "acc_none"):
        await plans.take(ports, plan_changed(account_id, PlanName.PRO))

    assert (await accounts.get(ports, person.account_id)).plan_version == 0


async def test_above_a_smaller_plan_projects_stay_and_none_is_added(
    ports: Ports, account: Account
) -> None:
    await plans.take(ports, plan_changed(account.id, PlanName.PRO))
    made = [await projects.create(ports, account.id, f"{n}", actor=OPERATOR) for n in range(3)]
    await plans.take(ports, plan_changed(account.id, PlanName.FREE, version=2))

    with pytest.raises(TooManyProjects):
        await projects.create(ports, account.id, "one more", actor=OPERATOR)
    assert [one.id for one in await projects.list_of(ports, account.id)] == [p.id for p in made]
    for project in made:
        assert (await context_of(ports, project)).limits == PLANS[PlanName.FREE].limits
        await projects.change(ports, project.id, ProjectSettings(running=2), actor=OPERATOR)


async def test_a_projects_own_limits_and_windows_shrink_with_the_plan_and_come_back(
    ports: Ports, account: Account, project: Project
) -> None:
    await plans.take(ports, plan_changed(account.id, PlanName.PRO))
    wish = ProjectSettings(
        requests_per_minute=500, retention=timedelta(days=10), metadata=timedelta(days=20)
    )
    await projects.change(ports, project.id, wish, actor=OPERATOR)

    async def allowed() -> tuple[int, ...]:
        context = await context_of(ports, project)
        days = (context.retention_seconds, context.metadata_retention_seconds)
        return (context.limits.requests_per_minute, *(seconds // 86_400 for seconds in days))

    assert await allowed() == (500, 10, 20)
    await plans.take(ports, plan_changed(account.id, PlanName.FREE, version=2))
    assert await allowed() == (60, 1, 7)
    await plans.take(ports, plan_changed(account.id, PlanName.PRO, version=3))
    assert await allowed() == (500, 10, 20)


async def test_an_account_says_from_the_start_which_plan_it_was_given(
    ports: Ports, account: Account
) -> None:
    async with ports.db.transaction() as tx:
        bodies = list((await tx.execute(select(OUTBOX.c.body))).scalars())
    assert bodies == [encode(AccountCreated(account_id=account.id, plan="free"))]


async def test_the_operator_grants_a_plan_through_billing(
    ports_out: Ports, account: Account, billing: BillingStandIn
) -> None:
    answer = await plans.grant(ports_out, account.id, PlanName.SCALE, actor=OPERATOR)

    assert answer.plan == PlanName.SCALE
    assert billing.orders == [("grant", account.id, GrantQuestion(plan=PlanName.SCALE))]
    assert (await now_of(ports_out, account)).plan == "free", "until billing tells it"
    assert await told(ports_out, account) == [("operator", "scale")]


async def test_granting_the_plan_that_is_there_gives_todays_numbers(
    ports_out: Ports, account: Account
) -> None:
    async with ports_out.db.transaction() as tx:
        (await tx.get_one(Account, account.id)).pending = 7

    await plans.grant(ports_out, account.id, PlanName.FREE, actor=OPERATOR)

    assert (await now_of(ports_out, account)).pending == PLANS[PlanName.FREE].limits.pending


async def test_no_plan_is_granted_to_nobody_or_while_billing_is_away(
    ports_out: Ports, account: Account, billing: BillingStandIn
) -> None:
    with pytest.raises(AccountNotFound):
        await plans.grant(ports_out, "acc_none", PlanName.PRO, actor=OPERATOR)
    billing.refusal = BillingAway()
    with pytest.raises(BillingAway):
        await plans.grant(ports_out, account.id, PlanName.PRO, actor=OPERATOR)
    assert billing.orders == []
