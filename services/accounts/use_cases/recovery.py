"""Passwords: forgotten, changed, asked for again."""

from typing import Final

from libs.common.database import Transaction
from services.accounts.domain import throttles
from services.accounts.domain.audit import Change, Entry
from services.accounts.domain.emails import Email, check_email
from services.accounts.domain.errors import FieldErrors, WeakPassword
from services.accounts.domain.forms import Fields
from services.accounts.domain.letters import LetterKind
from services.accounts.domain.passwords import check_password
from services.accounts.domain.tokens import Purpose
from services.accounts.models import Person
from services.accounts.ports import Ports
from services.accounts.repositories.audit import AuditRepository, by_person
from services.accounts.repositories.mails import MailRepository
from services.accounts.repositories.people import (
    Held,
    LinkRepository,
    PeopleRepository,
    SessionRepository,
)
from services.accounts.use_cases import hashing, links, tries

NOT_YOURS: Final = "This is not your password."


async def ask_for_reset(ports: Ports, email: str, network: str) -> None:
    """Mail a link to who owns the address; nobody is told whether anybody does.

    Raises FieldErrors, TooManyTries.
    """
    fields = Fields()
    with fields.check("email"):
        address = check_email(email)
    fields.end()
    await tries.take(ports, throttles.on_mail(address, network))
    async with tries.in_even_time(), ports.db.transaction() as tx:
        person = await PeopleRepository(tx).find(address)
        if person is not None:
            link = await links.make(ports, tx, person, Purpose.RESET)
            # Who signed up with a stranger's address chose the name, too.
            name = "there" if person.verified_at is None else person.name
            letter = ports.write(LetterKind.RESET, name=name, link=link)
            MailRepository(tx).add(LetterKind.RESET, letter, person, at=ports.clock.now())


async def reset(ports: Ports, token: str, password: str, network: str) -> None:
    """A new password for who got the link. Every session ends; the address is proven by the way.

    It logs nobody in. Raises FieldErrors (the link stays good), LinkEnded, TooManyTries.
    """
    await tries.take(ports, throttles.on_link(network))
    async with ports.db.transaction() as tx:
        link = await links.look(ports, tx, token, Purpose.RESET)
        person = await PeopleRepository(tx).get(link.person_id)
    _check_new(person, password)
    stored = await hashing.hash_password(password)
    async with ports.db.transaction() as tx:
        link = await links.take(ports, tx, token, Purpose.RESET)
        person = await PeopleRepository(tx).lock(link.person_id)
        person.verified_at = person.verified_at or ports.clock.now()
        entry = by_person(Change.PASSWORD_RESET, person, network)
        await _set_password(ports, tx, person, stored, entry)
        await SessionRepository(tx).end_all(person.id, ports.clock.now())


async def change_password(ports: Ports, held: Held, old: str, password: str, network: str) -> None:
    """Ends the other sessions; sent twice, it is changed once.

    Raises FieldErrors (old_password, password), TooManyTries.
    """
    fields = Fields()
    with fields.check("password"):
        check_password(password, _about(held.person))
    if not await is_theirs(ports, held.person, old, network):
        if await hashing.is_password(password, held.person.password_hash):
            return  # of a form that was sent twice, the second
        fields.add("old_password", NOT_YOURS)
    fields.end()
    stored = await hashing.hash_password(password)
    async with ports.db.transaction() as tx:
        person = await PeopleRepository(tx).lock(held.person.id)
        if person.password_hash != held.person.password_hash:
            raise FieldErrors({"old_password": NOT_YOURS})  # changed meanwhile, in another tab
        entry = by_person(Change.PASSWORD_CHANGED, person, network)
        await _set_password(ports, tx, person, stored, entry)
        await SessionRepository(tx).end_all(person.id, ports.clock.now(), but=held.session.id)


async def confirm(ports: Ports, person: Person, password: str, network: str) -> None:
    """Whoever sits before an open session must know the password for what cannot be undone.

    Counted as when logging in. Raises FieldErrors, TooManyTries.
    """
    if not await is_theirs(ports, person, password, network):
        raise FieldErrors({"password": NOT_YOURS})


async def is_theirs(ports: Ports, person: Person, password: str, network: str) -> bool:
    """Whether it is this person's password; counted as when logging in. Raises TooManyTries."""
    address = Email(person.email)
    await tries.take(ports, throttles.on_password(address, network))
    is_good = await hashing.is_password(password, person.password_hash)
    if is_good:
        await tries.give_back(ports, throttles.of_owner(address, network))
    return is_good


def _about(person: Person) -> tuple[str, ...]:
    return (person.email.partition("@")[0], person.name, person.company or "")


def _check_new(person: Person, password: str) -> None:
    try:
        check_password(password, _about(person))
    except WeakPassword as weak:
        raise FieldErrors({"password": str(weak)}) from None


async def _set_password(
    ports: Ports, tx: Transaction, person: Person, stored: str, entry: Entry
) -> None:
    now, kind = ports.clock.now(), LetterKind.PASSWORD_CHANGED
    person.password_hash = stored
    # A link that was asked for by somebody else must not outlive the change.
    for purpose in (Purpose.RESET, Purpose.CHANGE_EMAIL):
        await LinkRepository(tx).end_all(person.id, purpose)
    AuditRepository(tx).add(entry, at=now)
    letter = ports.write(kind, name=person.name, base_url=ports.base_url)
    MailRepository(tx).add(kind, letter, person, at=now)
