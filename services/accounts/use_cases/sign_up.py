"""Sign up, and prove that the address is one's own."""

import msgspec

from libs.common.database import Transaction
from libs.common.ids import new_id
from services.accounts.domain import throttles
from services.accounts.domain.abuse import Signal
from services.accounts.domain.audit import Actor, Change
from services.accounts.domain.countries import check_country
from services.accounts.domain.emails import Email, check_email
from services.accounts.domain.errors import TermsNotAccepted
from services.accounts.domain.forms import Fields
from services.accounts.domain.letters import LetterKind
from services.accounts.domain.names import check_name
from services.accounts.domain.passwords import check_password
from services.accounts.domain.tokens import Purpose
from services.accounts.models import Person
from services.accounts.ports import Ports
from services.accounts.repositories.audit import AuditRepository, by_person
from services.accounts.repositories.mails import MailRepository
from services.accounts.repositories.people import PeopleRepository
from services.accounts.use_cases import abuse, accounts, hashing, links, tries


class SignUp(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody typed. `network`: where they are, truncated.

    `wants_notices`: consent to mails about usage, which nobody gives by not looking.
    """

    email: str
    password: str
    name: str
    company: str = ""
    country: str
    has_accepted: bool
    wants_notices: bool = False
    network: str


async def sign_up(ports: Ports, wish: SignUp) -> None:
    """Open an account, or tell the owner of the address that there is one. No answer says which.

    Raises FieldErrors, TooManyTries.
    """
    person = _checked(ports, wish)
    email = Email(person.email)
    await tries.take(ports, throttles.on_mail(email, wish.network))
    await abuse.note(ports, Signal.SIGN_UP, wish.network)
    async with tries.in_even_time():
        # Hashed for whoever asks, so that the work says nothing either.
        person.password_hash = await hashing.hash_password(wish.password)
        async with ports.db.transaction() as tx:
            people = PeopleRepository(tx)
            await people.claim(email)
            known = await people.find(email)
            if known is None:
                await _open(ports, tx, person, wish.network)
            else:
                _tell_owner(ports, tx, known)


async def send_link_again(ports: Ports, person: Person, network: str) -> None:
    """Another link to verify, the ones before end; none where that is done. Raises TooManyTries."""
    if person.verified_at is not None:
        return
    await tries.take(ports, throttles.on_mail(Email(person.email), network))
    async with ports.db.transaction() as tx:
        current = await PeopleRepository(tx).lock(person.id)
        if current.verified_at is None:
            await _mail_link(ports, tx, current)


async def verify(ports: Ports, token: str, network: str) -> Person:
    """The address is theirs: they may have live keys. Raises LinkEnded, TooManyTries."""
    await tries.take(ports, throttles.on_link(network))
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        link = await links.take(ports, tx, token, Purpose.VERIFY)
        person = await PeopleRepository(tx).lock(link.person_id)
        if person.verified_at is None:
            person.verified_at = now
            AuditRepository(tx).add(by_person(Change.ACCOUNT_VERIFIED, person, network), at=now)
            letter = ports.write(LetterKind.WELCOME, name=person.name, base_url=ports.base_url)
            MailRepository(tx).add(LetterKind.WELCOME, letter, person, at=now)
        return person


def _checked(ports: Ports, wish: SignUp) -> Person:
    """Who that would be, still without an account and a password. Raises FieldErrors."""
    fields, now = Fields(), ports.clock.now()
    with fields.check("email"):
        email = check_email(wish.email)
    with fields.check("name"):
        name = check_name(wish.name)
    with fields.check("company"):
        company = check_name(wish.company) if wish.company.strip() else None
    with fields.check("country"):
        country = check_country(wish.country)
    with fields.check("password"):
        local = wish.email.partition("@")[0]
        check_password(wish.password, (local, wish.name, wish.company))
    with fields.check("has_accepted"):
        _check_accepted(has_accepted=wish.has_accepted)
    fields.end()
    return Person(
        id=new_id("usr"),
        email=email.text,
        email_key=email.key,
        name=name,
        company=company,
        country=country,
        terms_version=ports.terms_version,
        terms_accepted_at=now,
        wants_notices=wish.wants_notices,
        created_at=now,
    )


def _check_accepted(*, has_accepted: bool) -> None:
    if not has_accepted:
        raise TermsNotAccepted("Accept the terms and the privacy policy to go on.")


async def _open(ports: Ports, tx: Transaction, person: Person, network: str) -> None:
    account = accounts.new_account(ports, person.company or person.name, ports.new_plan)
    person.account_id = account.id
    await accounts.open_in(tx, account, actor=Actor(person.id, network))
    await PeopleRepository(tx).add(person)
    if person.wants_notices:
        entry = by_person(Change.NOTICES_ACCEPTED, person, network)
        AuditRepository(tx).add(entry, at=person.created_at)
    await _mail_link(ports, tx, person)


def _tell_owner(ports: Ports, tx: Transaction, known: Person) -> None:
    kind = LetterKind.ADDRESS_KNOWN
    letter = ports.write(kind, name=known.name, base_url=ports.base_url)
    MailRepository(tx).add(kind, letter, known, at=ports.clock.now())


async def _mail_link(ports: Ports, tx: Transaction, person: Person) -> None:
    """Without their name: whoever signed up may have made a stranger's mailbox read it."""
    letter = ports.write(
        LetterKind.VERIFY, link=await links.make(ports, tx, person, Purpose.VERIFY)
    )
    MailRepository(tx).add(LetterKind.VERIFY, letter, person, at=ports.clock.now())
