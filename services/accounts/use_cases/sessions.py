"""Log in, stay logged in, log out; look at one's sessions and end them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from prometheus_client import Counter

from libs.common.database import Transaction
from libs.common.ids import new_id
from services.accounts.domain import throttles
from services.accounts.domain.abuse import Signal
from services.accounts.domain.audit import Change
from services.accounts.domain.browsers import clean, describe
from services.accounts.domain.emails import LONGEST, Email, check_email
from services.accounts.domain.errors import InvalidEmail, TooManyTries, WrongPassword
from services.accounts.domain.letters import LetterKind
from services.accounts.domain.passwords import is_outdated
from services.accounts.domain.tokens import digest_of, new_token
from services.accounts.models import Person, Session
from services.accounts.ports import Ports
from services.accounts.repositories.audit import AuditRepository, by_person
from services.accounts.repositories.mails import MailRepository
from services.accounts.repositories.people import Held, PeopleRepository, SessionRepository
from services.accounts.use_cases import abuse, audit, hashing, tries

LOG_INS: Final = Counter("reqrun_accounts_log_ins_total", "Tries to log in", ["outcome"])

_SEEN_EVERY: Final = timedelta(minutes=5)
_FIRST: Final = timedelta(days=1)
"""After signing up nobody needs to be told that they log in."""


class Browser(msgspec.Struct, frozen=True):
    """Where a call comes from: its network, truncated, and what the browser calls itself."""

    network: str
    agent: str


async def log_in(
    ports: Ports, email: str, password: str, browser: Browser, *, earlier: str = ""
) -> str:
    """The cookie's text, of a session that is new; the one of the cookie `earlier` ends.

    Raises WrongPassword, after the same work, whether there is such an account or not; and
    TooManyTries.
    """
    person = await _known(ports, email, password, browser.network)
    now, token = ports.clock.now(), new_token()
    session = Session(
        id=new_id("ses"),
        digest=token.digest,
        person_id=person.id,
        network=browser.network,
        agent=clean(browser.agent),
        created_at=now,
        seen_at=now,
    )
    async with ports.db.transaction() as tx:
        # A password that was changed while this one was compared opens nothing.
        current = await PeopleRepository(tx).lock(person.id)
        if current.password_hash != person.password_hash:
            raise _wrong()
        sessions = SessionRepository(tx)
        await sessions.end_by_cookie(digest_of(earlier), now)
        await _tell_if_new(ports, tx, current, session)
        sessions.add(session)
        entry = by_person(Change.LOGGED_IN, current, browser.network, session.id)
        AuditRepository(tx).add(entry, at=now)
    LOG_INS.labels("good").inc()
    return token.text


async def resume(ports: Ports, token: str, network: str) -> Held | None:
    """Whose call this is; None where the session has ended."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        sessions = SessionRepository(tx)
        held = await sessions.find(digest_of(token), now)
        if held is not None and now - held.session.seen_at >= _SEEN_EVERY:
            await sessions.see(held.session.id, network, now)
        return held


async def log_out(ports: Ports, token: str, network: str) -> None:
    """End the session of this cookie, if it has not ended yet."""
    held = await resume(ports, token, network)
    if held is not None:
        await end(ports, held.person, held.session.id, network)


async def list_of(ports: Ports, person: Person) -> Sequence[Session]:
    """All that are good now, the one seen last first."""
    async with ports.db.transaction() as tx:
        return await SessionRepository(tx).list_of(person.id, ports.clock.now())


async def end(ports: Ports, person: Person, session_id: str, network: str) -> None:
    """End one of one's own; what is nobody's, or somebody else's, is ended already."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        if await SessionRepository(tx).end(person.id, session_id, now):
            entry = by_person(Change.SESSION_ENDED, person, network, session_id)
            AuditRepository(tx).add(entry, at=now)


async def end_others(ports: Ports, held: Held, network: str) -> int:
    """End all but this one. How many."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        ended = await SessionRepository(tx).end_all(held.person.id, now, but=held.session.id)
        if ended:
            entry = by_person(Change.SESSION_ENDED, held.person, network)
            AuditRepository(tx).add(entry, at=now)
        return ended


async def _known(ports: Ports, email: str, password: str, network: str) -> Person:
    """Whose address and password that is. Raises WrongPassword, TooManyTries."""
    address = _address(email)
    try:
        await tries.take(ports, throttles.on_password(address, network))
    except TooManyTries:
        LOG_INS.labels("throttled").inc()
        await audit.note_refused_sign_ins(ports, address, network)
        raise
    async with ports.db.transaction() as tx:
        person = await PeopleRepository(tx).find(address)
    stored = None if person is None else person.password_hash
    is_good = await hashing.is_password(password, stored)
    if person is None or not is_good:
        LOG_INS.labels("wrong").inc()
        await abuse.note(ports, Signal.SIGN_IN_FAILED, network)
        raise _wrong()
    await tries.give_back(ports, throttles.of_owner(address, network))
    if is_outdated(person.password_hash):
        await _hash_anew(ports, person, password)
    return person


def _address(email: str) -> Email:
    """What is no address is nobody's: it is counted, and takes its time, all the same."""
    try:
        return check_email(email)
    except InvalidEmail:
        return Email(ascii(email[:LONGEST]))


async def _hash_anew(ports: Ports, person: Person, password: str) -> None:
    old, new = person.password_hash, await hashing.hash_password(password)
    async with ports.db.transaction() as tx:
        await PeopleRepository(tx).renew_hash(person.id, old=old, new=new)
    person.password_hash = new


def _wrong() -> WrongPassword:
    return WrongPassword("This e-mail address and password do not belong together.")


async def _tell_if_new(ports: Ports, tx: Transaction, person: Person, session: Session) -> None:
    """A mail, unless they came from this network with such a browser before."""
    browser, now = describe(session.agent), session.created_at
    places = await SessionRepository(tx).places_of(person.id)
    is_known = (session.network, browser) in {(p.network, describe(p.agent)) for p in places}
    is_first = not places and now - person.created_at < _FIRST
    if is_known or is_first:
        return
    letter = ports.write(
        LetterKind.NEW_SIGN_IN,
        name=person.name,
        browser=browser,
        network=session.network,
        at=f"{now:%d %B %Y, %H:%M} UTC",
        base_url=ports.base_url,
    )
    MailRepository(tx).add(LetterKind.NEW_SIGN_IN, letter, person, at=now)
