"""Everything of an account in one ZIP file, streamed: nothing plain ever lies on a disk of ours.

What can refuse refuses before the first byte. When the gateways go away after that, or billing does
not answer at all, the file still ends well and says what is missing: who has waited for most of a
large account keeps it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import msgspec

from libs.common.contracts.gateway import RequestsQuestion
from libs.common.errors import Unavailable
from services.accounts.domain.audit import Actor, Change
from services.accounts.domain.export import README, Archive, bounds_of
from services.accounts.domain.export_records import (
    AccountRecord,
    ApiKeyRecord,
    ConnectionRecord,
    EntryRecord,
    MailRecord,
    NoticeRecord,
    PersonRecord,
    ProjectRecord,
    SessionRecord,
    SupportRecord,
)
from services.accounts.models import Person, Project, SupportEntry, SupportMessage
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import by_person
from services.accounts.repositories.export import ExportRepository
from services.accounts.repositories.people import Held, PeopleRepository
from services.accounts.use_cases import audit, recovery, tries
from services.accounts.use_cases.exported_requests import RequestFiles, patiently

_NO_BILLING: Final = (
    b"Plan, usage, invoices and tax details are not in this archive: billing did not answer\n"
    b"while it was written. Ask for another export in some minutes.\n"
)


class Export(msgspec.Struct, frozen=True):
    """`name`: of the file. `chunks`: its bytes, made while they are read; close it when done."""

    name: str
    chunks: AsyncGenerator[bytes, None]


async def begin(ports: Ports, held: Held, password: str) -> Export:
    """Raises FieldErrors for a wrong password, TooManyTries, ExecutionPlaneAway: nothing is begun.

    It counts, and is written down, when it is begun: content may have left from then on.
    """
    person, network, now = held.person, held.session.network, ports.clock.now()
    await recovery.confirm(ports, person, password, network)
    async with ports.db.transaction() as tx:
        projects = await ExportRepository(tx, person.account_id).projects()
    for project in projects[:1]:
        await ports.requests.list_requests(project.id, RequestsQuestion(mode="live", limit=1))
    await tries.take(ports, bounds_of(person.account_id))
    await audit.note(ports, by_person(Change.EXPORT_MADE, person, network))
    name = f"reqrun-export-{now:%Y-%m-%d}.zip"
    return Export(name, _stream(ports, person, projects, Actor(person.id, network)))


async def _stream(
    ports: Ports, person: Person, projects: Sequence[Project], actor: Actor
) -> AsyncGenerator[bytes, None]:
    archive, requests = Archive(ports.clock.now()), RequestFiles(ports, actor)
    archive.add("README.txt", README)
    for name, content in (await _tables(ports, person)).items():
        archive.add(f"{name}.json", _encode(content))
    yield archive.take()
    archive.add(*await _billing(ports, person.account_id))
    with archive.array("audit.json") as append:
        async with aclosing(audit.batches(ports, person.account_id)) as batches:
            async for events in batches:
                append(map(msgspec.json.encode, events))
                yield archive.take()
    for project in projects:
        async with aclosing(requests.write(archive, project)) as pieces:
            async for piece in pieces:
                yield piece
    if requests.missing or requests.unopened:
        archive.add("requests/INCOMPLETE.txt", requests.what_is_missing())
    archive.close()
    yield archive.take()


async def _billing(ports: Ports, account_id: str) -> tuple[str, bytes]:
    """A file's name and content: what billing knows, or that it does not answer."""
    try:
        answer = await patiently(partial(ports.billing.show, account_id))
    except Unavailable:
        return "BILLING_MISSING.txt", _NO_BILLING
    return "billing.json", _encode(answer)


async def _tables(ports: Ports, person: Person) -> dict[str, Any]:
    """What fits into memory, by the file's name."""
    account_id = person.account_id
    async with ports.db.transaction() as tx:
        rows = ExportRepository(tx, account_id)
        return {
            "account": _record(AccountRecord, await AccountRepository(tx).get(account_id)),
            "person": _record(PersonRecord, await PeopleRepository(tx).get(person.id)),
            "sessions": _records(SessionRecord, await rows.sessions()),
            "projects": _records(ProjectRecord, await rows.projects()),
            "api_keys": _records(ApiKeyRecord, await rows.api_keys()),
            "provider_connections": _records(ConnectionRecord, await rows.connections()),
            "mails": _records(MailRecord, await rows.mails()),
            "notices": _records(NoticeRecord, await rows.notices()),
            "support": _threads(await rows.support_messages(), await rows.support_entries()),
        }


def _threads(
    messages: Sequence[SupportMessage], entries: Sequence[SupportEntry]
) -> list[SupportRecord]:
    texts: dict[str, list[EntryRecord]] = {message.id: [] for message in messages}
    for entry in entries:
        texts[entry.message_id].append(_record(EntryRecord, entry))
    return [
        SupportRecord(
            id=message.id,
            kind=message.kind,
            subject=message.subject,
            state=message.state,
            created_at=message.created_at,
            updated_at=message.updated_at,
            closed_at=message.closed_at,
            entries=texts[message.id],
        )
        for message in messages
    ]


def _records(kind: Any, rows: Sequence[Any]) -> list[Any]:
    return [_record(kind, row) for row in rows]


def _record(kind: Any, row: Any) -> Any:
    return msgspec.convert(row, kind, from_attributes=True)


def _encode(content: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
