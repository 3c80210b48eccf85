"""Customers of an installation: who signed up, verified and logged in, by the use cases alone."""

import re
from typing import Final

from sqlalchemy import select

from services.accounts.models import Mail
from services.accounts.ports import Ports
from services.accounts.repositories.people import Held
from services.accounts.use_cases import sessions, sign_up
from services.accounts.use_cases.sessions import Browser
from services.accounts.use_cases.sign_up import SignUp

PASSWORD: Final = "rusty-canary-flies-45"
NETWORK: Final = "203.0.113.0/24"
ELSEWHERE: Final = "198.51.100.0/24"
BROWSER: Final = Browser(NETWORK, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
_TOKEN: Final = re.compile(r"\?token=([\w-]+)")


async def mails_to(ports: Ports, recipient: str) -> list[Mail]:
    """The oldest first."""
    async with ports.db.transaction() as tx:
        query = select(Mail).where(Mail.recipient == recipient).order_by(Mail.id)
        return list(await tx.scalars(query))


async def newest_token(ports: Ports, recipient: str) -> str:
    """Of the newest mail with a link in it."""
    tokens = [_TOKEN.search(mail.text) for mail in await mails_to(ports, recipient)]
    return [found.group(1) for found in tokens if found is not None][-1]


async def signed_up(ports: Ports, email: str = "ada@example.org", name: str = "Ada") -> None:
    """They have an account, not verified."""
    wish = SignUp(
        email=email,
        password=PASSWORD,
        name=name,
        company="",
        country="DE",
        has_accepted=True,
        network=NETWORK,
    )
    await sign_up.sign_up(ports, wish)


async def customer(ports: Ports, email: str = "ada@example.org", name: str = "Ada") -> Held:
    """Somebody who is verified and logged in."""
    await signed_up(ports, email, name)
    await sign_up.verify(ports, await newest_token(ports, email), NETWORK)
    token = await sessions.log_in(ports, email, PASSWORD, BROWSER)
    held = await sessions.resume(ports, token, NETWORK)
    assert held is not None
    return held
