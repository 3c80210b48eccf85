"""Projects: make one, find one."""

from libs.common.ids import new_id
from services.accounts.domain.audit import Change, Entry
from services.accounts.domain.names import check_name
from services.accounts.models import Project
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.projects import ProjectRepository


async def create(ports: Ports, account_id: str, name: str, *, actor: str) -> Project:
    """Make a project that follows its account's limits. Raises AccountNotFound, InvalidName."""
    now = ports.clock.now()
    project = Project(
        id=new_id("prj"),
        account_id=account_id,
        name=check_name(name),
        is_paused=False,
        on_unknown_outcome="retry",
        created_at=now,
    )
    entry = Entry(
        what=Change.PROJECT_CREATED,
        account_id=account_id,
        project_id=project.id,
        subject_id=project.id,
        actor=actor,
    )
    async with ports.db.transaction() as tx:
        await AccountRepository(tx).get(account_id)
        await ProjectRepository(tx).add(project)
        AuditRepository(tx).add(entry, at=now)
    return project


async def find_by_name(ports: Ports, account_id: str, name: str) -> Project | None:
    """The account's oldest project of that name."""
    async with ports.db.transaction() as tx:
        return await ProjectRepository(tx).find_by_name(account_id, name)
