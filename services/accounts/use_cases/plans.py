"""Plans: billing says which one an account has, and here stands a copy of what that allows.

Gateways learn it with their next question about a key, within five seconds.
"""

from typing import Any

from libs.common.contracts.billing import BillingAnswer, GrantQuestion, PlanChanged
from libs.common.contracts.plans import PlanName
from services.accounts.domain.audit import BILLING, Actor, Change, Entry
from services.accounts.models import Account
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import AuditRepository
from services.accounts.use_cases.accounts import columns_of


async def take(ports: Ports, event: PlanChanged) -> None:
    """What billing tells: applied unless something later is known. Harmless again.

    Nothing is deleted where the plan allows less: what is above it is refused from now on.
    """
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock_living(event.account_id)
        if account is None or event.version <= account.plan_version:
            return
        account.plan_version = event.version
        before, day = account.plan, account.anchor_day
        account.anchor_day = event.anchor_day
        if before != event.plan:
            _set(account, columns_of(event.plan))
        if (before, day) != (event.plan, event.anchor_day):
            detail = _detail(before, event)
            entry = _entry(Change.PLAN_CHANGED, account.id, BILLING, detail)
            AuditRepository(tx).add(entry, at=ports.clock.now())


async def grant(ports: Ports, account_id: str, plan: PlanName, *, actor: Actor) -> BillingAnswer:
    """The operator gives it this plan, which is its floor where more is bought; as billing sees it.

    On the plan that it has already, it gets today's numbers. Raises AccountNotFound, BillingAway.
    """
    async with ports.db.transaction() as tx:
        await AccountRepository(tx).get(account_id)
        entry = _entry(Change.PLAN_GRANTED, account_id, actor, plan)
        AuditRepository(tx).add(entry, at=ports.clock.now())
    answer = await ports.billing.grant(account_id, GrantQuestion(plan=plan))
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock(account_id)
        if account.plan == answer.plan:
            _set(account, columns_of(answer.plan))
    return answer


def _set(account: Account, columns: dict[str, Any]) -> None:
    for name, value in columns.items():
        setattr(account, name, value)


def _detail(before: str, event: PlanChanged) -> str:
    if before != event.plan:
        return f"{before} → {event.plan}"
    return f"{event.plan}, periods begin on day {event.anchor_day}"


def _entry(what: Change, account_id: str, actor: Actor, detail: str) -> Entry:
    return Entry(
        what=what, account_id=account_id, subject_id=account_id, actor=actor, detail=detail
    )
