"""Projects: make one, find one, set, pause, resume and erase it."""

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common import outbox
from libs.common.contracts.accounts import (
    ProjectDeleted,
    ProjectPaused,
    ProjectResumed,
    ProjectStandingAnswer,
)
from libs.common.contracts.plans import PLANS, PlanName
from services.accounts.domain.audit import Actor, Change, Entry
from services.accounts.domain.errors import AlreadySent, ErasureNotConfirmed, TooManyProjects
from services.accounts.domain.forms import id_for
from services.accounts.domain.names import check_name
from services.accounts.domain.projects import (
    ProjectSettings,
    WholeSettings,
    check_settings,
    check_unchanged,
    check_whole,
    mark_of,
    settings_of,
)
from services.accounts.models import Account, Project
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.connections import ConnectionRepository
from services.accounts.repositories.data_keys import DataKeyRepository
from services.accounts.repositories.keys import ApiKeyRepository
from services.accounts.repositories.projects import ProjectRepository
from services.accounts.use_cases import data_keys


async def create(
    ports: Ports, account_id: str, name: str, *, actor: Actor, project_id: str = ""
) -> Project:
    """Make a project that follows its account's limits. `project_id`: see `domain.forms.id_for`.

    Raises AccountNotFound, InvalidName, TooManyProjects, AlreadySent; AccountLeaving where the
    account is about to be deleted.
    """
    now = ports.clock.now()
    project = Project(
        id=id_for("prj", project_id),
        account_id=account_id,
        name=check_name(name),
        is_paused=False,
        on_unknown_outcome="retry",
        created_at=now,
        data_key_made_at=now,
    )
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).hold(account_id)
        if await ProjectRepository(tx).is_known(project.id):
            raise AlreadySent("This form was sent twice. The project was made the first time.")
        _check_room(account, await ProjectRepository(tx).list_living(account_id))
        await ProjectRepository(tx).add(project)
        await DataKeyRepository(tx).add(data_keys.new(ports, project.id, now))
        AuditRepository(tx).add(_entry(Change.PROJECT_CREATED, project, actor), at=now)
    return project


async def get(ports: Ports, project_id: str) -> Project:
    """A project, erased or not. Raises ProjectNotFound."""
    async with ports.db.transaction() as tx:
        return await ProjectRepository(tx).get(project_id)


async def find_by_name(ports: Ports, account_id: str, name: str) -> Project | None:
    """The account's oldest project of that name that is not erased."""
    async with ports.db.transaction() as tx:
        return await ProjectRepository(tx).find_by_name(account_id, name)


async def list_of(ports: Ports, account_id: str) -> list[Project]:
    """The account's projects that are not erased, oldest first."""
    async with ports.db.transaction() as tx:
        found = await ProjectRepository(tx).list_of(account_id)
    return [project for project in found if project.deleted_at is None]


async def show_standing(ports: Ports, project_id: str) -> ProjectStandingAnswer:
    """How it stands now, erased or not. Raises ProjectNotFound."""
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).get(project_id)
        account = await AccountRepository(tx).get(project.account_id)
    is_held = account.is_restricted or account.leaves_at is not None
    return ProjectStandingAnswer(
        project_id=project.id,
        is_paused=project.is_paused or is_held,
        is_deleted=project.deleted_at is not None,
        is_account_deleted=account.erased_at is not None,
    )


async def change(ports: Ports, project_id: str, wish: ProjectSettings, *, actor: Actor) -> Project:
    """Change what `wish` names. Raises ProjectNotFound, InvalidProjectSettings.

    A limit above the account's may be set, and holds as far as the account's goes.
    """
    return await _set(ports, project_id, check_settings(wish), actor)


async def replace_settings(
    ports: Ports, project_id: str, wish: WholeSettings, *, actor: Actor, seen: str = ""
) -> Project:
    """All settings anew. `seen`: mark_of those that the wish was made in sight of.

    Raises ProjectNotFound, FieldErrors; of those that were changed since, too.
    """
    return await _set(ports, project_id, check_whole(wish), actor, seen)


async def _set(
    ports: Ports, project_id: str, changes: Mapping[str, Any], actor: Actor, seen: str = ""
) -> Project:
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).lock(project_id)
        now = settings_of(project)
        if seen and seen != mark_of(now):
            check_unchanged(now, changes)
            return project
        for name, value in changes.items():
            setattr(project, name, value)
        AuditRepository(tx).add(_entry(Change.PROJECT_SET, project, actor), at=ports.clock.now())
    return project


async def pause(ports: Ports, project_id: str, *, actor: Actor) -> Project:
    """No new attempt starts, nothing expires. Raises ProjectNotFound.

    It is told each time, so that an operator who doubts may say it again; audited once.
    """
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).lock(project_id)
        if not project.is_paused:
            project.is_paused = True
            entry = _entry(Change.PROJECT_PAUSED, project, actor)
            AuditRepository(tx).add(entry, at=ports.clock.now())
        await outbox.add(tx, ProjectPaused(project_id=project_id))
    return project


async def resume(ports: Ports, project_id: str, *, actor: Actor) -> Project:
    """It goes on; told each time, audited once. Raises ProjectNotFound."""
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).lock(project_id)
        if project.is_paused:
            project.is_paused = False
            entry = _entry(Change.PROJECT_RESUMED, project, actor)
            AuditRepository(tx).add(entry, at=ports.clock.now())
        await outbox.add(tx, ProjectResumed(project_id=project_id))
    return project


async def erase(ports: Ports, project_id: str, *, actor: Actor, is_sure: bool) -> Project:
    """Destroy the data key, and with it all that it sealed; end the keys, forget the provider.

    The row stays, marked. Told each time, audited once. Raises ProjectNotFound,
    ErasureNotConfirmed.
    """
    if not is_sure:
        raise ErasureNotConfirmed(
            "Erasing a project destroys all of its prompts and results and ends its API keys."
            " Nothing brings them back. Say --yes if that is wanted."
        )
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).lock(project_id, is_deleted_good=True)
        await DataKeyRepository(tx).destroy(project_id)
        await ApiKeyRepository(tx).revoke_all(project_id, at=now)
        await ConnectionRepository(tx).remove(project_id)
        if project.deleted_at is None:
            project.deleted_at = now
            AuditRepository(tx).add(_entry(Change.PROJECT_DELETED, project, actor), at=now)
        await outbox.add(tx, ProjectDeleted(project_id=project_id))
    return project


def _check_room(account: Account, living: Sequence[Project]) -> None:
    if len(living) >= PLANS[PlanName(account.plan)].projects:
        raise TooManyProjects(
            "Your plan has no room for another project. Erase one, or take a larger plan."
        )


def _entry(what: Change, project: Project, actor: Actor) -> Entry:
    return Entry(
        what=what,
        account_id=project.account_id,
        project_id=project.id,
        subject_id=project.id,
        actor=actor,
    )
