"""People who log in, and how."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.accounts.domain.tokens import Purpose
from services.accounts.models.accounts import Account
from services.accounts.models.base import EMAIL, ID, MOMENT, NAME, Base


class Person(Base):
    """Who logs in. `email_key` is `email` in lower case.

    `password_hash`: a PHC string. `verified_at`: null until the address is known to be theirs; till
    then there are test keys only. `terms_version`: what was accepted, and when. `told_version`:
    which change of it was mailed. `wants_notices`: of usage; other mails are no matter of choice.
    """

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("email_key"), UniqueConstraint("account_id"))

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID, ForeignKey(Account.id))
    email: Mapped[str] = mapped_column(EMAIL)
    email_key: Mapped[str] = mapped_column(EMAIL)
    name: Mapped[str] = mapped_column(NAME)
    company: Mapped[str | None] = mapped_column(NAME)
    country: Mapped[str] = mapped_column(String(2))
    password_hash: Mapped[str] = mapped_column(String(200))
    terms_version: Mapped[str] = mapped_column(String(20))
    terms_accepted_at: Mapped[datetime] = mapped_column(MOMENT)
    told_version: Mapped[str | None] = mapped_column(String(20))
    wants_notices: Mapped[bool] = mapped_column(default=False)
    verified_at: Mapped[datetime | None] = mapped_column(MOMENT)
    created_at: Mapped[datetime] = mapped_column(MOMENT)


class Session(Base):
    """A browser that is logged in, known by the digest of its cookie.

    `network`: where it was last seen from, truncated. `agent`: what the browser calls itself.
    `ended_at`: ended before its time; kept for a while, as a browser that is not new.
    """

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    person_id: Mapped[str] = mapped_column(ID, ForeignKey(Person.id), index=True)
    network: Mapped[str] = mapped_column(String(50))
    agent: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    seen_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Link(Base):
    """A link that was mailed, good once. `email`: the address it gives, if that is its purpose."""

    __tablename__ = "links"
    __table_args__ = (
        CheckConstraint(
            "purpose IN ('verify', 'reset', 'change_email', 'restore_email')", name="purpose"
        ),
        CheckConstraint(
            "(email IS NOT NULL) = (purpose IN ('change_email', 'restore_email'))",
            name="has_email",
        ),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    person_id: Mapped[str] = mapped_column(ID, ForeignKey(Person.id), index=True)
    purpose: Mapped[Purpose] = mapped_column(String(20))
    email: Mapped[str | None] = mapped_column(EMAIL)
    expires_at: Mapped[datetime] = mapped_column(MOMENT, index=True)


class Throttle(Base):
    """How soon something may be tried again: the moment at which all its tries are back.

    `name` holds no address and no e-mail, but a digest of it.
    """

    __tablename__ = "throttles"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    full_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
