"""People, their sessions and their links in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Update, delete, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.domain.emails import Email
from services.accounts.domain.tokens import SESSION_IDLE, SESSION_LIFE, Purpose
from services.accounts.models import Account, Link, Person, Session


class Held(NamedTuple):
    """A session that is good now, whose it is, and their account."""

    session: Session
    person: Person
    account: Account


class Place(NamedTuple):
    """Where a session is used, and what its browser calls itself."""

    network: str
    agent: str


class PeopleRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def claim(self, email: Email) -> None:
        """Nobody else gives this address to anybody until the end."""
        key = func.hashtextextended(email.key, 0)
        await self._tx.execute(select(func.pg_advisory_xact_lock(key)))

    async def add(self, person: Person) -> None:
        """Insert them. Their address was claimed before."""
        self._tx.add(person)
        await self._tx.flush()

    async def find(self, email: Email) -> Person | None:
        """Whose address it is."""
        query = select(Person).where(Person.email_key == email.key)
        return (await self._tx.scalars(query)).first()

    async def find_of(self, account_id: str) -> Person | None:
        """Whose account it is; None where the operator opened it."""
        query = select(Person).where(Person.account_id == account_id)
        return (await self._tx.scalars(query)).first()

    async def get(self, person_id: str) -> Person:
        """Somebody who is there."""
        return await self._tx.get_one(Person, person_id)

    async def lock(self, person_id: str) -> Person:
        """Nobody else's to change until the end."""
        query = select(Person).where(Person.id == person_id).with_for_update()
        return (await self._tx.scalars(query, execution_options={"populate_existing": True})).one()

    async def rename(self, person: Person, email: Email) -> bool:
        """Give them the address, unless it is somebody else's. Whether they have it now."""
        await self.claim(email)
        owner = await self.find(email)
        if owner is not None and owner.id != person.id:
            return False
        person.email, person.email_key = email.text, email.key
        await self._tx.flush()
        return True

    async def take_untold(self, version: str, limit: int) -> Sequence[Person]:
        """At most `limit` who were not told of this version yet, and do not have it already."""
        query = (
            select(Person)
            .where(Person.terms_version != version, Person.told_version.is_distinct_from(version))
            .order_by(Person.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return list(await self._tx.scalars(query))

    async def renew_hash(self, person_id: str, *, old: str, new: str) -> None:
        """Keep their password in another form, unless it was changed meanwhile."""
        await self._tx.execute(
            update(Person)
            .where(Person.id == person_id, Person.password_hash == old)
            .values(password_hash=new)
        )


class SessionRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    def add(self, session: Session) -> None:
        """Insert it, if this transaction commits."""
        self._tx.add(session)

    async def find(self, digest: bytes, now: datetime) -> Held | None:
        """The session of a cookie, unless it has been idle for too long or is too old."""
        query = (
            select(Session, Person, Account)
            .join(Person, Person.id == Session.person_id)
            .join(Account, Account.id == Person.account_id)
            .where(Session.digest == digest, *_is_good(now))
        )
        row = (await self._tx.execute(query)).first()
        return None if row is None else Held(*row)

    async def list_of(self, person_id: str, now: datetime) -> Sequence[Session]:
        """Those that are good now, the one seen last first."""
        query = (
            select(Session)
            .where(Session.person_id == person_id, *_is_good(now))
            .order_by(Session.seen_at.desc(), Session.id.desc())
        )
        return list(await self._tx.scalars(query))

    async def places_of(self, person_id: str) -> list[Place]:
        """Where they were seen lately, also in sessions that have ended."""
        query = select(Session.network, Session.agent).where(Session.person_id == person_id)
        return [Place(*row) for row in (await self._tx.execute(query.distinct())).all()]

    async def end(self, person_id: str, session_id: str, now: datetime) -> bool:
        """End one of this person's. Whether there was one."""
        return await self._end(now, Session.person_id == person_id, Session.id == session_id) > 0

    async def end_by_cookie(self, digest: bytes, now: datetime) -> str | None:
        """End the session of a cookie; its id. None where there was none."""
        query = _ending(now, Session.digest == digest).returning(Session.id)
        return (await self._tx.scalars(query)).first()

    async def end_all(self, person_id: str, now: datetime, *, but: str | None = None) -> int:
        """End all of a person's, but for one perhaps. How many."""
        rest = true() if but is None else Session.id != but
        return await self._end(now, Session.person_id == person_id, rest)

    async def see(self, session_id: str, network: str, now: datetime) -> None:
        """It was used."""
        await self._tx.execute(
            update(Session).where(Session.id == session_id).values(seen_at=now, network=network)
        )

    async def _end(self, now: datetime, *which: ColumnElement[bool]) -> int:
        ended = await self._tx.scalars(_ending(now, *which).returning(Session.id))
        return len(ended.all())


def _ending(now: datetime, *which: ColumnElement[bool]) -> Update:
    return (
        update(Session)
        .where(*which, *_is_good(now))
        .values(ended_at=now)
        .execution_options(synchronize_session=False)
    )


def _is_good(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Session.ended_at.is_(None),
        Session.seen_at > now - SESSION_IDLE,
        Session.created_at > now - SESSION_LIFE,
    )


class LinkRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def add(self, link: Link) -> None:
        """Insert it; of each purpose a person has one link, the newest.

        But every address that was lost may be taken back, not only the last one.
        """
        if link.purpose is not Purpose.RESTORE_EMAIL:
            await self.end_all(link.person_id, link.purpose)
        await self._tx.execute(
            insert(Link).values(
                digest=link.digest,
                person_id=link.person_id,
                purpose=link.purpose,
                email=link.email,
                expires_at=link.expires_at,
            )
        )

    async def find(self, digest: bytes, purpose: Purpose, now: datetime) -> Link | None:
        """A link that is good for that now; it stays so."""
        query = select(Link).where(
            Link.digest == digest, Link.purpose == purpose, Link.expires_at > now
        )
        return (await self._tx.scalars(query)).first()

    async def take(self, digest: bytes, purpose: Purpose, now: datetime) -> Link | None:
        """Use it up. None where it is not good for that, or not any more.

        Of two at once, the second waits for the first, and finds it gone.
        """
        query = (
            delete(Link)
            .where(Link.digest == digest, Link.purpose == purpose, Link.expires_at > now)
            .returning(Link)
        )
        return (await self._tx.scalars(query)).first()

    async def end_all(self, person_id: str, purpose: Purpose | None = None) -> None:
        """None of this person's is good any more."""
        query = delete(Link).where(Link.person_id == person_id)
        if purpose is not None:
            query = query.where(Link.purpose == purpose)
        await self._tx.execute(query)
