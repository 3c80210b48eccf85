"""How an account stands: suspended or not, proven or not. The operator decides.

Nothing is told by event: gateways ask what a key may do every few seconds.
"""

from typing import Final

from services.accounts.domain.audit import Actor, Change, Entry
from services.accounts.domain.emails import check_email
from services.accounts.domain.errors import InvalidReason, PersonNotFound
from services.accounts.models import Account, Person
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.people import PeopleRepository

_LONGEST_REASON: Final = 200  # characters


async def suspend(ports: Ports, account_id: str, reason: str, *, actor: Actor) -> Account:
    """Its keys are refused from now on; nothing is lost. The customer can read the reason.

    Raises AccountNotFound, InvalidReason. Harmless again: a new reason takes the old one's place.
    """
    reason = _check_reason(reason)
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock(account_id)
        if (account.is_suspended, account.suspension_reason) != (True, reason):
            account.is_suspended, account.suspension_reason = True, reason
            entry = _entry(Change.ACCOUNT_SUSPENDED, account_id, actor, reason)
            AuditRepository(tx).add(entry, at=ports.clock.now())
    return account


async def resume(ports: Ports, account_id: str, *, actor: Actor) -> Account:
    """Its keys are good again. Raises AccountNotFound. Harmless again."""
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock(account_id)
        if account.is_suspended:
            account.is_suspended, account.suspension_reason = False, None
            entry = _entry(Change.ACCOUNT_RESUMED, account_id, actor)
            AuditRepository(tx).add(entry, at=ports.clock.now())
    return account


async def verify(ports: Ports, account_id: str, *, actor: Actor) -> Person:
    """The operator knows that the address is theirs; nobody is mailed. Raises PersonNotFound."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        people = PeopleRepository(tx)
        found = await people.find_of(account_id)
        if found is None:
            raise PersonNotFound("Nobody logs in to this account.")
        person = await people.lock(found.id)
        if person.verified_at is None:
            person.verified_at = now
            AuditRepository(tx).add(_entry(Change.ACCOUNT_VERIFIED, account_id, actor), at=now)
    return person


async def find_person(ports: Ports, email: str) -> Person:
    """Whose address it is. Raises InvalidEmail, PersonNotFound."""
    async with ports.db.transaction() as tx:
        found = await PeopleRepository(tx).find(check_email(email))
    if found is None:
        raise PersonNotFound("Nobody logs in with this address.")
    return found


def _check_reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= _LONGEST_REASON or not reason.isprintable():
        raise InvalidReason(f"A reason has 1 to {_LONGEST_REASON} characters in one line.")
    return reason


def _entry(what: Change, account_id: str, actor: Actor, detail: str | None = None) -> Entry:
    return Entry(
        what=what, account_id=account_id, subject_id=account_id, actor=actor, detail=detail
    )
