"""Tell everybody that the policy or the terms change, before they do."""

from datetime import date
from typing import Final

import msgspec

from services.accounts.domain.errors import InvalidAnnouncement
from services.accounts.domain.letters import LetterKind
from services.accounts.ports import Ports
from services.accounts.repositories.mails import MailRepository
from services.accounts.repositories.people import PeopleRepository

_TOGETHER: Final = 100
_LONGEST_VERSION: Final = 20
_LONGEST_TEXT: Final = 4_000


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """`version`: which the pages will show from `effective_on` on. `changes`: in plain words."""

    version: str
    changes: str
    effective_on: date


async def announce(ports: Ports, wish: Announcement) -> int:
    """Queue a mail to everybody who has another version; how many. Raises InvalidAnnouncement.

    In batches, each committed: stopped and run again it goes on, and tells nobody twice.
    """
    _check(ports, wish)
    told = 0
    while batch := await _tell_some(ports, wish):
        told += batch
    return told


async def _tell_some(ports: Ports, wish: Announcement) -> int:
    kind = LetterKind.POLICY_CHANGED
    async with ports.db.transaction() as tx:
        people = await PeopleRepository(tx).take_untold(wish.version, _TOGETHER)
        for person in people:
            letter = ports.write(
                kind,
                name=person.name,
                changes=wish.changes,
                effective_on=f"{wish.effective_on:%d %B %Y}",
                base_url=ports.base_url,
            )
            MailRepository(tx).add(kind, letter, person, at=ports.clock.now())
            person.told_version = wish.version
    return len(people)


def _check(ports: Ports, wish: Announcement) -> None:
    if not 0 < len(wish.version) <= _LONGEST_VERSION or not wish.version.isprintable():
        raise InvalidAnnouncement(f"A version has 1 to {_LONGEST_VERSION} printable characters.")
    is_text = wish.changes.replace("\n", "").isprintable() and wish.changes.strip()
    if not is_text or len(wish.changes) > _LONGEST_TEXT:
        raise InvalidAnnouncement(f"Say in 1 to {_LONGEST_TEXT} characters what changes.")
    if wish.effective_on <= ports.clock.now().date():
        raise InvalidAnnouncement("People are told before the day from which it holds.")
