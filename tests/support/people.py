"""People of a test: signed up, logged in, and what was written to them."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import select

from services.accounts.models import AuditEvent, Mail, Person
from services.accounts.ports import Ports
from services.accounts.repositories.people import Held
from services.accounts.use_cases import sessions, sign_up
from services.accounts.use_cases.sessions import Browser
from services.accounts.use_cases.sign_up import SignUp

EMAIL: Final = "Ada@example.org"
PASSWORD: Final = "plain words in a row"
NETWORK: Final = "203.0.113.0/24"
FIREFOX: Final = Browser(NETWORK, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0")

WISH: Final = SignUp(
    email=EMAIL,
    password=PASSWORD,
    name="Ada Lovelace",
    company="Engines Ltd",
    country="GB",
    has_accepted=True,
    network=NETWORK,
)


def wish(**changes: Any) -> SignUp:
    """Somebody who signs up."""
    return msgspec.structs.replace(WISH, **changes)


async def signed_up(ports: Ports, **changes: Any) -> Person:
    """Somebody who has, and has not opened the link."""
    asked = wish(**changes)
    await sign_up.sign_up(ports, asked)
    return await person(ports, asked.email)


async def verified(ports: Ports, **changes: Any) -> Person:
    """Somebody whose address is proven."""
    made = await signed_up(ports, **changes)
    return await sign_up.verify(ports, token(await last_mail(ports, made.email)), NETWORK)


async def logged_in(
    ports: Ports, email: str = EMAIL, password: str = PASSWORD, browser: Browser = FIREFOX
) -> Held:
    """A new session of theirs."""
    cookie = await sessions.log_in(ports, email, password, browser)
    held = await sessions.resume(ports, cookie, NETWORK)
    assert held is not None
    return held


async def person(ports: Ports, email: str) -> Person:
    """Who has that address."""
    async with ports.db.transaction() as tx:
        return (await tx.scalars(select(Person).where(Person.email_key == email.lower()))).one()


async def mails(ports: Ports, to: str | None = None) -> Sequence[Mail]:
    """All that were written, or those to one address; the oldest first."""
    query = select(Mail).order_by(Mail.id)
    if to is not None:
        query = query.where(Mail.recipient == to)
    async with ports.db.transaction() as tx:
        return list(await tx.scalars(query))


async def kinds(ports: Ports, to: str | None = None) -> list[str]:
    """Of the mails that were written."""
    return [mail.kind for mail in await mails(ports, to)]


async def last_mail(ports: Ports, to: str) -> Mail:
    """The newest one to this address."""
    return (await mails(ports, to))[-1]


def token(mail: Mail) -> str:
    """Of the link in it."""
    found = re.search(r"\?token=([\w-]+)", mail.text)
    assert found is not None, mail.text
    return found[1]


async def changes(ports: Ports, account_id: str) -> list[str]:
    """What was written down of an account, the oldest first."""
    query = select(AuditEvent.what).where(AuditEvent.account_id == account_id)
    async with ports.db.transaction() as tx:
        return list(await tx.scalars(query.order_by(AuditEvent.id)))
