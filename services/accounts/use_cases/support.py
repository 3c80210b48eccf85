"""Support messages: a customer writes, the operator answers, either closes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from libs.common.database import Transaction
from libs.common.ids import new_id
from services.accounts.domain.audit import OPERATOR, Change, Entry
from services.accounts.domain.letters import LetterKind
from services.accounts.domain.support import (
    Author,
    Draft,
    State,
    bounds_of,
    check_draft,
    check_text,
)
from services.accounts.models import Person, SupportEntry, SupportMessage
from services.accounts.ports import Ports
from services.accounts.repositories.audit import AuditRepository, by_person
from services.accounts.repositories.mails import MailRepository
from services.accounts.repositories.people import PeopleRepository
from services.accounts.repositories.support import SupportRepository
from services.accounts.use_cases import tries

_MOST: Final = 500
_TWICE: Final = timedelta(minutes=10)
"""Who says the same again within it has pressed the button twice."""


class Thread(msgspec.Struct, frozen=True):
    """A message with all that was written, the oldest entry first."""

    message: SupportMessage
    entries: Sequence[SupportEntry]


async def send(ports: Ports, person: Person, draft: Draft, network: str) -> SupportMessage:
    """Keep it, tell the operator, and tell its writer that it came. Sent twice, it is one.

    Raises FieldErrors, TooManyTries.
    """
    draft, now = check_draft(draft), ports.clock.now()
    await tries.take(ports, bounds_of(person.account_id))
    message = SupportMessage(
        id=new_id("msg"),
        account_id=person.account_id,
        person_id=person.id,
        kind=draft.kind,
        subject=draft.subject,
        state=State.OPEN,
        created_at=now,
        updated_at=now,
    )
    async with ports.db.transaction() as tx:
        messages = SupportRepository(tx)
        await PeopleRepository(tx).lock(person.id)  # of two at once the second waits, and finds
        twin = await messages.find_twin(person.account_id, draft, since=now - _TWICE)
        if twin is not None:
            return twin
        await messages.add(message)
        messages.write(message, Author.CUSTOMER, draft.text, at=now)
        AuditRepository(tx).add(by_person(Change.SUPPORT_SENT, person, network, message.id), at=now)
        _tell_operator(ports, tx, person, message, draft.text)
        letter = ports.write(
            LetterKind.SUPPORT_RECEIVED,
            name=person.name,
            number=message.id,
            subject=message.subject,
            base_url=ports.base_url,
        )
        MailRepository(tx).add(LetterKind.SUPPORT_RECEIVED, letter, person, at=now)
    return message


async def list_of(ports: Ports, account_id: str) -> Sequence[SupportMessage]:
    """All of an account's, the one written to last first."""
    async with ports.db.transaction() as tx:
        return await SupportRepository(tx).list_of(account_id)


async def show(ports: Ports, account_id: str, message_id: str) -> Thread:
    """One of the account's. Raises SupportMessageNotFound."""
    async with ports.db.transaction() as tx:
        messages = SupportRepository(tx)
        message = await messages.get(account_id, message_id)
        return Thread(message, await messages.entries_of(message_id))


async def reply(ports: Ports, person: Person, message_id: str, text: str, network: str) -> Thread:
    """The customer writes more; what was closed is open again. Sent twice, it is one.

    Raises FieldErrors, SupportMessageNotFound, TooManyTries.
    """
    text, now = check_text(text), ports.clock.now()
    await show(ports, person.account_id, message_id)  # a wrong id costs no try
    await tries.take(ports, bounds_of(person.account_id))
    async with ports.db.transaction() as tx:
        messages = SupportRepository(tx)
        message = await messages.lock(person.account_id, message_id)
        entries = await messages.entries_of(message_id)
        if message.state == State.OPEN and _says(entries[-1], text, since=now - _TWICE):
            return Thread(message, entries)
        messages.write(message, Author.CUSTOMER, text, at=now)
        AuditRepository(tx).add(by_person(Change.SUPPORT_SENT, person, network, message_id), at=now)
        _tell_operator(ports, tx, person, message, text)
        return Thread(message, await messages.entries_of(message_id))


async def close(ports: Ports, person: Person, message_id: str, network: str) -> SupportMessage:
    """The customer needs nothing more; harmless again. Raises SupportMessageNotFound."""
    async with ports.db.transaction() as tx:
        message = await SupportRepository(tx).lock(person.account_id, message_id)
        entry = by_person(Change.SUPPORT_CLOSED, person, network, message_id)
        _close(ports, tx, message, entry)
    return message


async def list_all(ports: Ports, state: State | None) -> Sequence[SupportMessage]:
    """Everybody's, for the operator: who has waited longest first, at most 500."""
    async with ports.db.transaction() as tx:
        return await SupportRepository(tx).list_all(state, limit=_MOST)


async def show_any(ports: Ports, message_id: str) -> Thread:
    """Anybody's, for the operator. Raises SupportMessageNotFound."""
    async with ports.db.transaction() as tx:
        messages = SupportRepository(tx)
        message = await messages.get_any(message_id)
        return Thread(message, await messages.entries_of(message_id))


async def answer(ports: Ports, message_id: str, text: str) -> Thread:
    """The operator writes, and the customer gets it by mail.

    Raises FieldErrors, SupportMessageNotFound.
    """
    text, now, kind = check_text(text), ports.clock.now(), LetterKind.SUPPORT_REPLY
    async with ports.db.transaction() as tx:
        messages = SupportRepository(tx)
        message = await messages.lock_any(message_id)
        messages.write(message, Author.OPERATOR, text, at=now)
        AuditRepository(tx).add(_by_operator(Change.SUPPORT_ANSWERED, message), at=now)
        person = await messages.writer_of(message)
        if person is not None:
            letter = ports.write(
                kind,
                name=person.name,
                number=message.id,
                subject=message.subject,
                text=text,
                base_url=ports.base_url,
            )
            MailRepository(tx).add(kind, letter, person, at=now)
        return Thread(message, await messages.entries_of(message_id))


async def close_any(ports: Ports, message_id: str) -> SupportMessage:
    """The operator holds it for settled; nobody is told. Raises SupportMessageNotFound."""
    async with ports.db.transaction() as tx:
        message = await SupportRepository(tx).lock_any(message_id)
        _close(ports, tx, message, _by_operator(Change.SUPPORT_CLOSED, message))
    return message


def _close(ports: Ports, tx: Transaction, message: SupportMessage, entry: Entry) -> None:
    if message.state == State.CLOSED:
        return
    message.state = State.CLOSED
    message.updated_at = message.closed_at = ports.clock.now()
    AuditRepository(tx).add(entry, at=message.updated_at)


def _says(entry: SupportEntry, text: str, *, since: datetime) -> bool:
    return entry.author == Author.CUSTOMER and entry.text == text and entry.at >= since


def _by_operator(what: Change, message: SupportMessage) -> Entry:
    return Entry(what=what, account_id=message.account_id, subject_id=message.id, actor=OPERATOR)


def _tell_operator(
    ports: Ports, tx: Transaction, person: Person, message: SupportMessage, text: str
) -> None:
    letter = ports.write(
        LetterKind.SUPPORT_NEW,
        number=message.id,
        account_id=message.account_id,
        sender=person.email,
        subject=message.subject,
        text=text,
    )
    MailRepository(tx).add_to(
        LetterKind.SUPPORT_NEW,
        letter,
        ports.support_address,
        at=message.updated_at,
        account_id=message.account_id,
    )
