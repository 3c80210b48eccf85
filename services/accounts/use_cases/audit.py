"""Audit events: look at them, take them along, write one down by itself."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from services.accounts.domain.audit import NOBODY, Actor, Change, Entry, Filter
from services.accounts.domain.emails import Email
from services.accounts.domain.export import AuditRecord, csv_line
from services.accounts.domain.throttles import Bound
from services.accounts.models import AuditEvent
from services.accounts.ports import Ports
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.people import PeopleRepository
from services.accounts.repositories.throttles import ThrottleRepository

PAGE: Final = 50
_BATCH: Final = 500
_ALL: Final = Filter()
_REFUSAL_TOLD_EVERY: Final = timedelta(hours=1)


class Page(msgspec.Struct, frozen=True):
    """The newest entry first. `before`: ask with it for the next page; None on the last."""

    events: Sequence[AuditEvent]
    before: int | None


async def list_page(
    ports: Ports, account_id: str, wish: Filter = _ALL, before: int | None = None
) -> Page:
    """A page of what happened in the account."""
    return await _page(ports, account_id, wish, before, PAGE)


async def export_csv(ports: Ports, account_id: str, wish: Filter = _ALL) -> AsyncIterator[bytes]:
    """All of it for a spreadsheet, the newest first, as many lines at a time as fit into memory."""
    yield csv_line(AuditRecord.__struct_fields__)
    async for events in batches(ports, account_id, wish):
        yield b"".join(csv_line(msgspec.structs.astuple(one)) for one in events)


async def export_json(ports: Ports, account_id: str, wish: Filter = _ALL) -> AsyncIterator[bytes]:
    """All of it as one JSON array, the newest first."""
    between = b"["
    async for events in batches(ports, account_id, wish):
        for event in events:
            yield between + b"\n" + msgspec.json.encode(event)
            between = b","
    yield b"[]\n" if between == b"[" else b"\n]\n"


async def batches(
    ports: Ports, account_id: str, wish: Filter = _ALL
) -> AsyncGenerator[list[AuditRecord], None]:
    """All of it in pieces. No transaction is open in between: whoever reads may be slow."""
    before: int | None = None
    while True:
        page = await _page(ports, account_id, wish, before, _BATCH)
        if page.events:
            yield [msgspec.convert(one, AuditRecord, from_attributes=True) for one in page.events]
        if page.before is None:
            return
        before = page.before


async def note(ports: Ports, entry: Entry) -> None:
    """Write down what changes nothing of ours, such as a look at somebody's prompt.

    Before it happens: what cannot be written down does not happen.
    """
    async with ports.db.transaction() as tx:
        AuditRepository(tx).add(entry, at=ports.clock.now())


async def note_refused_sign_ins(ports: Ports, email: Email, network: str) -> None:
    """Somebody tried too many passwords; its owner shall see it, once an hour at the most.

    An address that nobody has is counted as well, so that no answer comes sooner for it.
    """
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        person = await PeopleRepository(tx).find(email)
        whom = "nobody" if person is None else person.id
        told = Bound(f"told.{whom}", 1, _REFUSAL_TOLD_EVERY)
        if await ThrottleRepository(tx).take(told, now) is not None or person is None:
            return
        entry = Entry(
            what=Change.SIGN_INS_REFUSED,
            account_id=person.account_id,
            subject_id=person.id,
            actor=Actor(NOBODY, network),
        )
        AuditRepository(tx).add(entry, at=now)


async def _page(ports: Ports, account_id: str, wish: Filter, before: int | None, size: int) -> Page:
    async with ports.db.transaction() as tx:
        found = await AuditRepository(tx).list_of(account_id, wish, before=before, limit=size + 1)
    events = found[:size]
    return Page(events, events[-1].id if len(found) > size else None)
