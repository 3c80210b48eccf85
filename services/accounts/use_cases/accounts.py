"""Accounts: open one, look at all."""

from datetime import timedelta
from typing import Any

import msgspec

from libs.common import outbox
from libs.common.contracts.accounts import AccountCreated, Limits
from libs.common.contracts.plans import PLANS, Plan, PlanName
from libs.common.database import Transaction
from libs.common.ids import new_id
from services.accounts.domain.audit import Actor, Change, Entry
from services.accounts.domain.names import check_name
from services.accounts.models import (
    Account,
    ApiKey,
    AuditEvent,
    Person,
    Project,
    ProviderConnection,
)
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.connections import ConnectionRepository
from services.accounts.repositories.keys import ApiKeyRepository
from services.accounts.repositories.people import PeopleRepository
from services.accounts.repositories.projects import ProjectRepository


class ProjectOverview(msgspec.Struct, frozen=True):
    """A project with what hangs on it."""

    project: Project
    connection: ProviderConnection | None
    keys: list[ApiKey]


class AccountOverview(msgspec.Struct, frozen=True):
    """An account with all of its projects, and its newest audit events.

    `person`: None where the operator opened it.
    """

    account: Account
    person: Person | None
    projects: list[ProjectOverview]
    events: list[AuditEvent]


async def create(ports: Ports, name: str, plan: PlanName, *, actor: Actor) -> Account:
    """Open an account and tell it, or neither. Raises InvalidName."""
    account = new_account(ports, name, plan)
    async with ports.db.transaction() as tx:
        await open_in(tx, account, actor=actor)
    return account


def new_account(ports: Ports, name: str, plan: PlanName) -> Account:
    """The row, with what the plan allows. Raises InvalidName."""
    return Account(
        id=new_id("acc"),
        name=check_name(name),
        **columns_of(plan),
        is_suspended=False,
        created_at=ports.clock.now(),
    )


def columns_of(plan: PlanName) -> dict[str, Any]:
    """An account's copy of its plan: a new catalogue changes nobody's limits silently."""
    bought = PLANS[plan]
    return {
        "plan": plan,
        **msgspec.structs.asdict(bought.limits),
        "retention_seconds": int(bought.retention.total_seconds()),
        "metadata_seconds": int(bought.metadata.total_seconds()),
    }


def plan_of(account: Account) -> Plan:
    """Its own copy, as a plan."""
    limits = Limits(
        requests_per_minute=account.requests_per_minute,
        pending=account.pending,
        requests_per_month=account.requests_per_month,
        running=account.running,
        body_bytes=account.body_bytes,
    )
    return msgspec.structs.replace(
        PLANS[PlanName(account.plan)],
        limits=limits,
        retention=timedelta(seconds=account.retention_seconds),
        metadata=timedelta(seconds=account.metadata_seconds),
    )


async def open_in(tx: Transaction, account: Account, *, actor: Actor) -> None:
    """Insert it, write it down, tell it."""
    entry = Entry(
        what=Change.ACCOUNT_CREATED, account_id=account.id, subject_id=account.id, actor=actor
    )
    await AccountRepository(tx).add(account)
    AuditRepository(tx).add(entry, at=account.created_at)
    await outbox.add(tx, AccountCreated(account_id=account.id, plan=account.plan))


async def get(ports: Ports, account_id: str) -> Account:
    """The account itself. Raises AccountNotFound."""
    async with ports.db.transaction() as tx:
        return await AccountRepository(tx).get(account_id)


def is_unlimited(account: Account) -> bool:
    """Whether nothing is sold here: its limits are what a machine can bear, and nobody's quota."""
    return account.plan == PlanName.OPERATOR


async def find_by_name(ports: Ports, name: str) -> Account | None:
    """The oldest account of that name."""
    async with ports.db.transaction() as tx:
        return await AccountRepository(tx).find_by_name(name)


async def list_all(ports: Ports) -> list[Account]:
    """Every account, oldest first."""
    async with ports.db.transaction() as tx:
        return await AccountRepository(tx).list_all()


async def show(ports: Ports, account_id: str) -> AccountOverview:
    """One account with everything in it. Raises AccountNotFound."""
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).get(account_id)
        projects = [
            ProjectOverview(
                project,
                await ConnectionRepository(tx).find(project.id),
                await ApiKeyRepository(tx).list_of(project.id),
            )
            for project in await ProjectRepository(tx).list_of(account_id)
        ]
        person = await PeopleRepository(tx).find_of(account_id)
        events = await AuditRepository(tx).list_of(account_id)
        return AccountOverview(account, person, projects, events)
