"""Restriction: processing of all of an account's projects stands still until somebody lifts it.

The account says so, not its projects: those that were paused by themselves stay so afterwards, and
a project that is made meanwhile stands still too.
"""

from libs.common import outbox
from libs.common.contracts.accounts import ProjectPaused, ProjectResumed
from services.accounts.domain.audit import Actor, Change, Entry
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.projects import ProjectRepository


async def restrict(ports: Ports, account_id: str, *, actor: Actor) -> None:
    """No new attempt of any project starts, nothing expires. Raises AccountNotFound."""
    await _set(ports, account_id, actor, is_restricted=True)


async def lift(ports: Ports, account_id: str, *, actor: Actor) -> None:
    """What is not paused for another reason goes on. Raises AccountNotFound."""
    await _set(ports, account_id, actor, is_restricted=False)


async def _set(ports: Ports, account_id: str, actor: Actor, *, is_restricted: bool) -> None:
    """Told each time, so that somebody who doubts may say it again; audited once."""
    what = Change.ACCOUNT_RESTRICTED if is_restricted else Change.ACCOUNT_RELEASED
    nudge = ProjectPaused if is_restricted else ProjectResumed
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock(account_id)
        if account.is_restricted != is_restricted:
            account.is_restricted = is_restricted
            entry = Entry(what=what, account_id=account_id, subject_id=account_id, actor=actor)
            AuditRepository(tx).add(entry, at=ports.clock.now())
        for project in await ProjectRepository(tx).list_living(account_id):
            await outbox.add(tx, nudge(project_id=project.id))
