"""Provider connections: set one, hand it to executors."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from libs.common.contracts.accounts import (
    ProviderConnectionAnswer,
    SealedConnection,
    provider_key_context,
)
from libs.common.contracts.executor import TestConnectionAnswer, TestConnectionQuestion
from libs.common.ids import new_id
from libs.common.settings import Secret
from services.accounts.domain.audit import Actor, Change, Entry
from services.accounts.domain.connections import (
    check_base_url,
    check_provider_key,
    provider_key_hint,
    tests_of,
)
from services.accounts.domain.errors import (
    ChangedElsewhere,
    NoProviderConnection,
    ProjectNotFound,
)
from services.accounts.models import Project, ProviderConnection
from services.accounts.ports import Ports
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.connections import ConnectionRepository
from services.accounts.repositories.data_keys import DataKeyRepository
from services.accounts.repositories.projects import ProjectRepository
from services.accounts.use_cases import data_keys, tries

_TWICE: Final = timedelta(minutes=1)


class NewConnection(msgspec.Struct, frozen=True, kw_only=True):
    """What is wished for; `key` is the provider's, in the clear. `seen`: as `remove` takes it."""

    project_id: str
    base_url: str
    key: Secret
    seen: str | None = None


async def put(ports: Ports, wish: NewConnection, *, actor: Actor) -> ProviderConnection:
    """Give the project a provider, in the place of any before.

    A connection that is set anew is a new one, with an id of its own: cool-downs of the old key do
    not hold the new one back. Raises ProjectNotFound, InvalidBaseUrl, InvalidProviderKey,
    ChangedElsewhere.
    """
    now = ports.clock.now()
    connection = _new_connection(ports, wish, now)
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).lock(wish.project_id)
        current = await ConnectionRepository(tx).find(wish.project_id)
        if current is not None and _is_twin(current, connection, wish.seen):
            return current
        _check_seen(current, wish.seen)
        await ConnectionRepository(tx).put(connection)
        entry = _entry(Change.PROVIDER_CONNECTION_SET, project, connection, actor)
        AuditRepository(tx).add(entry, at=now)
    return connection


async def show(ports: Ports, project_id: str) -> ProviderConnectionAnswer:
    """What executors need of a project.

    Raises ProjectNotFound, also where its data key was destroyed: nothing of it can be run.
    """
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).get(project_id)
        connection = await ConnectionRepository(tx).find(project_id)
        data_key = await DataKeyRepository(tx).find(project_id)
    if data_key is None and project.data_key_made_at is None:
        data_key = await data_keys.find_or_make(ports, project_id)
    if data_key is None:
        raise ProjectNotFound("This project was erased.")
    return ProviderConnectionAnswer(
        project_id=project.id,
        sealed_data_key=data_key,
        connection=None if connection is None else _sealed(connection),
    )


async def find(ports: Ports, project_id: str) -> ProviderConnection | None:
    """What the project has, to be shown: its address and the hint at its key."""
    async with ports.db.transaction() as tx:
        return await ConnectionRepository(tx).find(project_id)


async def remove(ports: Ports, project_id: str, *, actor: Actor, seen: str | None = None) -> None:
    """The project has no provider any more; harmless where it had none.

    `seen`: the id of the connection that was in sight, nothing where none was; None: whatever it
    is. Raises ProjectNotFound, ChangedElsewhere.
    """
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).lock(project_id)
        connection = await ConnectionRepository(tx).find(project_id)
        if connection is None:
            return
        _check_seen(connection, seen)
        await ConnectionRepository(tx).remove(project_id)
        entry = _entry(Change.PROVIDER_CONNECTION_REMOVED, project, connection, actor)
        AuditRepository(tx).add(entry, at=ports.clock.now())


async def test(ports: Ports, project_id: str, *, actor: Actor) -> TestConnectionAnswer:
    """Whether the project's provider takes its key, as an executor finds it now.

    Raises ProjectNotFound, NoProviderConnection, TooManyTries, ExecutionPlaneAway.
    """
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).get(project_id)
        connection = await ConnectionRepository(tx).find(project_id)
    if connection is None:
        raise NoProviderConnection("This project has no provider connection yet.")
    await tries.take(ports, tests_of(project.account_id))
    question = TestConnectionQuestion(project_id=project.id, connection=_sealed(connection))
    tested = await ports.executors.test(question)
    async with ports.db.transaction() as tx:
        entry = _entry(Change.PROVIDER_CONNECTION_TESTED, project, connection, actor)
        AuditRepository(tx).add(entry, at=ports.clock.now())
    return tested


def _check_seen(current: ProviderConnection | None, seen: str | None) -> None:
    """Raises ChangedElsewhere where something else was in sight."""
    if seen is not None and seen != (current.id if current is not None else ""):
        raise ChangedElsewhere(
            "The connection was changed elsewhere since this page was opened. It is shown as it is"
            " now; look it over and do it again if you still want it."
        )


def _is_twin(current: ProviderConnection, wish: ProviderConnection, seen: str | None) -> bool:
    """Whether it is what a form made that came twice: its key cannot be compared any more."""
    is_same = (current.base_url, current.key_hint) == (wish.base_url, wish.key_hint)
    is_new = wish.updated_at - current.updated_at < _TWICE
    return seen is not None and seen != current.id and is_same and is_new


def _sealed(connection: ProviderConnection) -> SealedConnection:
    return SealedConnection(
        connection_id=connection.id,
        base_url=connection.base_url,
        sealed_key=connection.sealed_key,
    )


def _new_connection(ports: Ports, wish: NewConnection, now: datetime) -> ProviderConnection:
    connection_id = new_id("con")
    key = check_provider_key(wish.key.reveal())
    context = provider_key_context(connection_id, wish.project_id)
    return ProviderConnection(
        id=connection_id,
        project_id=wish.project_id,
        base_url=check_base_url(wish.base_url, ports.open_hosts),
        sealed_key=ports.executor_key.seal(key.encode(), context),
        key_hint=provider_key_hint(key),
        created_at=now,
        updated_at=now,
    )


def _entry(what: Change, project: Project, connection: ProviderConnection, actor: Actor) -> Entry:
    return Entry(
        what=what,
        account_id=project.account_id,
        project_id=project.id,
        subject_id=connection.id,
        actor=actor,
    )
