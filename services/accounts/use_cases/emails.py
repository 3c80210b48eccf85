"""The address somebody logs in with: changed, and taken back from a thief."""

from libs.common.database import Transaction
from services.accounts.domain import throttles
from services.accounts.domain.audit import Change
from services.accounts.domain.emails import Email, check_email
from services.accounts.domain.errors import LinkEnded
from services.accounts.domain.forms import Fields
from services.accounts.domain.letters import LetterKind
from services.accounts.domain.tokens import Purpose
from services.accounts.models import Link, Person
from services.accounts.ports import Ports
from services.accounts.repositories.audit import AuditRepository, by_person
from services.accounts.repositories.mails import MailRepository
from services.accounts.repositories.people import (
    LinkRepository,
    PeopleRepository,
    SessionRepository,
)
from services.accounts.use_cases import hashing, links, recovery, tries


async def ask_to_change(
    ports: Ports, person: Person, password: str, email: str, network: str
) -> None:
    """Mail a link to the new address. Nobody is told whether it has an account already.

    Raises FieldErrors (email, password), TooManyTries.
    """
    fields = Fields()
    with fields.check("email"):
        address = check_email(email)
    if not await recovery.is_theirs(ports, person, password, network):
        fields.add("password", recovery.NOT_YOURS)
    fields.end()
    await tries.take(ports, throttles.on_mail(address, network))
    async with ports.db.transaction() as tx:
        link = await links.make(ports, tx, person, Purpose.CHANGE_EMAIL, address.text)
        letter = ports.write(LetterKind.CHANGE_EMAIL, link=link, email=address.text)
        MailRepository(tx).add(
            LetterKind.CHANGE_EMAIL, letter, person, at=ports.clock.now(), to=address.text
        )


async def change(ports: Ports, token: str, network: str) -> Person:
    """The new address is proven, and both are told; for a week the old one can take it back.

    Raises LinkEnded, also where the address is somebody else's by now, and TooManyTries.
    """
    await tries.take(ports, throttles.on_link(network))
    async with ports.db.transaction() as tx:
        link = await links.take(ports, tx, token, Purpose.CHANGE_EMAIL)
        person = await PeopleRepository(tx).lock(link.person_id)
        old = await _give(ports, tx, person, link)
        for purpose in (Purpose.VERIFY, Purpose.RESET):  # they lie in the old mailbox
            await LinkRepository(tx).end_all(person.id, purpose)
        back = await links.make(ports, tx, person, Purpose.RESTORE_EMAIL, old)
        _tell_of_change(ports, tx, person, old, back)
        entry = by_person(Change.EMAIL_CHANGED, person, network)
        AuditRepository(tx).add(entry, at=ports.clock.now())
        return person


async def restore(ports: Ports, token: str, network: str) -> None:
    """The old address is theirs again, and whoever has a session or knows the password is out.

    A link to choose a new password is in the mail. Raises LinkEnded, also where the address is
    somebody else's by now, and TooManyTries.
    """
    await tries.take(ports, throttles.on_link(network))
    nobodys, now = await hashing.nobodys(), ports.clock.now()
    async with ports.db.transaction() as tx:
        link = await links.take(ports, tx, token, Purpose.RESTORE_EMAIL)
        person = await PeopleRepository(tx).lock(link.person_id)
        lost = await _give(ports, tx, person, link)
        person.password_hash = nobodys
        await SessionRepository(tx).end_all(person.id, now)
        await LinkRepository(tx).end_all(person.id)
        reset = await links.make(ports, tx, person, Purpose.RESET)
        _tell_of_return(ports, tx, person, lost, reset)
        AuditRepository(tx).add(by_person(Change.EMAIL_RESTORED, person, network), at=now)


async def _give(ports: Ports, tx: Transaction, person: Person, link: Link) -> str:
    """Their address is the link's from now on; what it was. Raises LinkEnded."""
    old = person.email
    if link.email is None or not await PeopleRepository(tx).rename(person, Email(link.email)):
        raise LinkEnded("This address belongs to another account by now.")
    person.verified_at = person.verified_at or ports.clock.now()
    return old


def _tell_of_change(ports: Ports, tx: Transaction, person: Person, old: str, back: str) -> None:
    """Both addresses; the old one how to take it back."""
    kind, mails = LetterKind.EMAIL_CHANGED, MailRepository(tx)
    for to, link in ((old, back), (person.email, "")):
        letter = ports.write(kind, name=person.name, old=old, email=person.email, link=link)
        mails.add(kind, letter, person, at=ports.clock.now(), to=to)


def _tell_of_return(ports: Ports, tx: Transaction, person: Person, lost: str, reset: str) -> None:
    """Both addresses; the one that is theirs again how to get in."""
    kind, mails = LetterKind.EMAIL_RESTORED, MailRepository(tx)
    for to, link in ((person.email, reset), (lost, "")):
        letter = ports.write(kind, name=person.name, email=person.email, link=link)
        mails.add(kind, letter, person, at=ports.clock.now(), to=to)
