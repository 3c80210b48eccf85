"""Requests as their owner sees them: the gateway tells, accounts says on whose behalf.

The project is always one of the caller's own account: pages find it among those (`projects`), and
the gateway finds a request only in the project it was asked about.
"""

from typing import Final

from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.gateway import ContentAnswer, RequestAnswer
from services.accounts.domain.audit import Actor, Change, Entry
from services.accounts.domain.errors import ProjectNotFound
from services.accounts.domain.keys import Mode, Purpose
from services.accounts.models import ApiKey, Project
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.connections import ConnectionRepository
from services.accounts.repositories.data_keys import DataKeyRepository
from services.accounts.repositories.keys import HeldKey
from services.accounts.use_cases import key_contexts

_NO_DIGEST: Final = b""


async def reveal(ports: Ports, project: Project, request_id: str, actor: Actor) -> ContentAnswer:
    """Its bodies in plain; who looks is written down first.

    Raises NotFound, ExecutionPlaneAway.
    """
    shown, context = await _about(ports, project, request_id, actor)
    await _note(ports, Change.CONTENT_REVEALED, project, shown, actor)
    return await ports.requests.open_content(project.id, request_id, context)


async def cancel(ports: Ports, project: Project, request_id: str, actor: Actor) -> None:
    """No further attempt begins. Raises NotFound, Conflict, ExecutionPlaneAway."""
    shown, context = await _about(ports, project, request_id, actor)
    await ports.requests.cancel(project.id, request_id, context)
    await _note(ports, Change.REQUEST_CANCELLED, project, shown, actor)


async def retry(ports: Ports, project: Project, request_id: str, actor: Actor) -> str:
    """The id of the new request. Raises NotFound, Conflict, LimitReached, ExecutionPlaneAway."""
    shown, context = await _about(ports, project, request_id, actor)
    made = await ports.requests.retry(project.id, request_id, context)
    await _note(ports, Change.REQUEST_RETRIED, project, shown, actor)
    return made.request_id


async def _about(
    ports: Ports, project: Project, request_id: str, actor: Actor
) -> tuple[RequestAnswer, KeyContext]:
    shown = await ports.requests.show(project.id, request_id)
    return shown, await context_of(ports, project, shown.request.mode, actor)


async def context_of(ports: Ports, project: Project, mode: Mode, actor: Actor) -> KeyContext:
    """On whose behalf a gateway acts. Raises ProjectNotFound where its data key is destroyed."""
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).get(project.account_id)
        connection = await ConnectionRepository(tx).find(project.id)
        sealed = await DataKeyRepository(tx).find(project.id)
    if sealed is None:
        raise ProjectNotFound("This project was erased.")
    key = ApiKey(
        id=actor.id,
        project_id=project.id,
        mode=mode,
        purpose=Purpose.OWN_CODE,
        digest=_NO_DIGEST,
        is_drop_in=False,
        needs_signature=False,
    )
    connection_id = None if connection is None else connection.id
    return key_contexts.of_person(HeldKey(key, project, account, connection_id, sealed))


async def _note(
    ports: Ports, change: Change, project: Project, shown: RequestAnswer, actor: Actor
) -> None:
    entry = Entry(
        what=change,
        account_id=project.account_id,
        project_id=project.id,
        subject_id=shown.request.id,
        actor=actor,
    )
    async with ports.db.transaction() as tx:
        AuditRepository(tx).add(entry, at=ports.clock.now())
