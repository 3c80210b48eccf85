"""Links that are mailed: made, and used up once."""

from libs.common.database import Transaction
from services.accounts.domain.errors import LinkEnded
from services.accounts.domain.tokens import LIVES, PATHS, Purpose, digest_of, new_token
from services.accounts.models import Link, Person
from services.accounts.ports import Ports
from services.accounts.repositories.people import LinkRepository


async def make(
    ports: Ports, tx: Transaction, person: Person, purpose: Purpose, email: str | None = None
) -> str:
    """What to mail. `email`: the address that it gives, where that is its purpose.

    The host is a setting, never what a browser says that ours is.
    """
    token = new_token()
    link = Link(
        digest=token.digest,
        person_id=person.id,
        purpose=purpose,
        email=email,
        expires_at=ports.clock.now() + LIVES[purpose],
    )
    await LinkRepository(tx).add(link)
    return f"{ports.base_url}{PATHS[purpose]}?token={token.text}"


async def look(ports: Ports, tx: Transaction, token: str, purpose: Purpose) -> Link:
    """A link that is good, and stays so. Raises LinkEnded."""
    return _good(await LinkRepository(tx).find(digest_of(token), purpose, ports.clock.now()))


async def take(ports: Ports, tx: Transaction, token: str, purpose: Purpose) -> Link:
    """Use it up, if this transaction commits. Raises LinkEnded."""
    return _good(await LinkRepository(tx).take(digest_of(token), purpose, ports.clock.now()))


def _good(link: Link | None) -> Link:
    if link is None:
        raise LinkEnded("This link has been used or has expired. Ask for a new one.")
    return link
