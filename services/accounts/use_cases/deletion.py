"""Deleting an account: asked for, undone within seven days, or carried out for good.

Carrying out is a row of transactions, each of them harmless again, so that a crash between any two
is mended by the next round. The last one queues the receipt and removes the person together: there
is never the one without the other.
"""

from datetime import datetime, timedelta
from typing import Final

from libs.common import logs, outbox
from libs.common.contracts.accounts import (
    AccountDeleted,
    AccountDeletionStarted,
    ProjectResumed,
)
from libs.common.database import Transaction
from services.accounts.domain.audit import SYSTEM, Actor, Change, Entry
from services.accounts.domain.errors import DeletionBegun
from services.accounts.domain.letters import LetterKind
from services.accounts.models import Account, Person
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.deletion import STRIPPED, DeletionRepository
from services.accounts.repositories.mails import MailRepository
from services.accounts.repositories.people import PeopleRepository
from services.accounts.repositories.projects import ProjectRepository
from services.accounts.use_cases import projects

log = logs.get(__name__)

ACCOUNT_ERASED: Final = "account_erased"
ERASURE_FAILED: Final = "account_erasure_failed"

GRACE: Final = timedelta(days=7)
BACKUPS_OF_KEYS: Final = timedelta(days=7)
"""How long the dumps of `data_keys` are kept at the most (docs/operations.md)."""

_ACCOUNTS: Final = 20  # a page
_ENTRIES: Final = 500  # a transaction


async def start(ports: Ports, person_id: str, *, actor: Actor) -> datetime:
    """When it is due. From now on nothing of the account runs, and its keys are refused.

    Whoever calls has asked for the password. Asked again, nothing changes.
    """
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        person = await PeopleRepository(tx).get(person_id)
        account = await AccountRepository(tx).lock(person.account_id)
        if account.leaves_at is not None:
            return account.leaves_at
        due_at = account.leaves_at = now + GRACE
        living = await ProjectRepository(tx).list_living(account.id)
        ids = tuple(project.id for project in living)
        await outbox.add(tx, AccountDeletionStarted(account_id=account.id, project_ids=ids))
        AuditRepository(tx).add(_entry(Change.DELETION_STARTED, account, actor), at=now)
        letter = ports.write(
            LetterKind.DELETION_STARTED,
            name=person.name,
            due_on=due_at.date().isoformat(),
            base_url=ports.base_url,
        )
        MailRepository(tx).add(LetterKind.DELETION_STARTED, letter, person, at=now)
    return due_at


async def undo(ports: Ports, person_id: str, *, actor: Actor) -> None:
    """Everything is as it was. Nothing to undo is no mistake. Raises DeletionBegun."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        person = await PeopleRepository(tx).get(person_id)
        account = await AccountRepository(tx).lock(person.account_id)
        if account.erasing_at is not None:
            raise DeletionBegun("This account is being deleted: it is too late to keep it.")
        if account.leaves_at is None:
            return
        account.leaves_at = None
        for project in await ProjectRepository(tx).list_living(account.id):
            await outbox.add(tx, ProjectResumed(project_id=project.id))
        AuditRepository(tx).add(_entry(Change.DELETION_UNDONE, account, actor), at=now)
        kind = LetterKind.DELETION_UNDONE
        letter = ports.write(kind, name=person.name, base_url=ports.base_url)
        MailRepository(tx).add(kind, letter, person, at=now)


async def carry_out_due(ports: Ports) -> int:
    """Erase the accounts whose time has come; how many. One that fails keeps no other waiting."""
    now, erased, last = ports.clock.now(), 0, None
    while due := await _find_due(ports, now, last):
        for account in due:
            erased += await _try_to_carry_out(ports, account.id)
        last = due[-1]
    return erased


async def _find_due(ports: Ports, now: datetime, after: Account | None) -> list[Account]:
    async with ports.db.transaction() as tx:
        return await AccountRepository(tx).find_due(now, after, limit=_ACCOUNTS)


async def _try_to_carry_out(ports: Ports, account_id: str) -> bool:
    try:
        return await _carry_out(ports, account_id)
    except Exception:  # it is tried again in a minute, from where it stopped
        log.exception(ERASURE_FAILED, account_id=account_id)
        return False


async def _carry_out(ports: Ports, account_id: str) -> bool:
    if not await _begin(ports, account_id):
        return False
    async with ports.db.transaction() as tx:
        living = await ProjectRepository(tx).list_living(account_id)
    for project in living:
        # Data key, keys, provider: from here on nothing of it opens. Executors are told.
        await projects.erase(ports, project.id, actor=SYSTEM, is_sure=True)
    while await _strip_audit(ports, account_id) == _ENTRIES:
        pass
    return await _end(ports, account_id)


async def _begin(ports: Ports, account_id: str) -> bool:
    """Committed before anything is destroyed: whoever undoes it meanwhile is told the truth."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock(account_id)
        if account.erased_at is not None or account.leaves_at is None or account.leaves_at > now:
            return False
        account.erasing_at = account.erasing_at or now
        return True


async def _strip_audit(ports: Ports, account_id: str) -> int:
    async with ports.db.transaction() as tx:
        return await DeletionRepository(tx).strip_audit(account_id, _ENTRIES)


async def _end(ports: Ports, account_id: str) -> bool:
    """The person goes, the receipt is queued, and the account is nobody's. All of it, or nothing.

    False where another worker was quicker, or something was added meanwhile.
    """
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock(account_id)
        known = await ProjectRepository(tx).list_of(account_id)
        if account.erased_at is not None or any(one.deleted_at is None for one in known):
            return False
        person = await PeopleRepository(tx).find_of(account_id)
        await DeletionRepository(tx).forget(account_id)
        if person is not None:
            _queue_receipt(ports, tx, person, now)
        account.name, account.suspension_reason, account.erased_at = STRIPPED, None, now
        AuditRepository(tx).add(_entry(Change.DELETION_DONE, account, SYSTEM), at=now)
        ids = tuple(project.id for project in known)
        await outbox.add(tx, AccountDeleted(account_id=account_id, project_ids=ids))
        # What was written down since, by whoever was still logged in.
        await DeletionRepository(tx).strip_audit(account_id, _ENTRIES)
    log.info(ACCOUNT_ERASED, account_id=account_id, count=len(ids))
    return True


def _queue_receipt(ports: Ports, tx: Transaction, person: Person, now: datetime) -> None:
    """To the address alone: the mail belongs to no account, and is gone a day after it was sent."""
    letter = ports.write(
        LetterKind.DELETED,
        name=person.name,
        erased_on=now.date().isoformat(),
        backups_gone_on=(now + BACKUPS_OF_KEYS).date().isoformat(),
    )
    MailRepository(tx).add_to(LetterKind.DELETED, letter, person.email, at=now)


def _entry(what: Change, account: Account, actor: Actor) -> Entry:
    return Entry(what=what, account_id=account.id, subject_id=account.id, actor=actor)
