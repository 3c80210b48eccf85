"""Mails to be sent, in the database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.ids import new_id
from services.accounts.domain.letters import TO_UNPROVEN, Letter, LetterKind
from services.accounts.models import Mail, Notice, Person
from services.accounts.models.mails import WAITING


class Backlog(NamedTuple):
    """How many mails wait, and since when the oldest of them does."""

    waiting: int
    oldest_at: datetime | None


class MailRepository:
    """Within one transaction: that of the reason to write."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    def add(
        self, kind: LetterKind, letter: Letter, person: Person, *, at: datetime, to: str = ""
    ) -> None:
        """Send it soon, if this transaction commits. `to`: another address than the person's.

        To their own address only what may go there before it is proven to be theirs.
        """
        if to in {"", person.email} and person.verified_at is None and kind not in TO_UNPROVEN:
            return
        self.add_to(kind, letter, to or person.email, at=at, account_id=person.account_id)

    def add_to(
        self,
        kind: LetterKind,
        letter: Letter,
        recipient: str,
        *,
        at: datetime,
        account_id: str | None = None,
    ) -> None:
        """The same, to who is no person, such as the operator."""
        self._tx.add(
            Mail(
                id=new_id("mail"),
                account_id=account_id,
                kind=kind,
                recipient=recipient,
                subject=letter.subject,
                text=letter.text,
                html=letter.html,
                tries=0,
                created_at=at,
                due_at=at,
            )
        )

    async def tell_once(self, account_id: str, name: str, *, at: datetime) -> bool:
        """Whether a mail of this name is still to be written; from now on it is not.

        Of two at once, the second waits for the first.
        """
        query = insert(Notice).values(account_id=account_id, name=name, told_at=at)
        told = query.on_conflict_do_nothing().returning(Notice.name)
        return (await self._tx.scalars(told)).first() is not None

    async def claim(self, limit: int, *, now: datetime, lease: timedelta) -> Sequence[Mail]:
        """Take due ones, oldest first, that nobody has in hand; they are ours for `lease`."""
        due = (
            select(Mail.id)
            .where(text(WAITING), Mail.due_at <= now)
            .order_by(Mail.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")  # asked once; inside the IN it may be asked for each row, and find others
        )
        query = (
            update(Mail)
            .where(Mail.id.in_(select(due.c.id)))
            .values(tries=Mail.tries + 1, due_at=now + lease)
            .returning(Mail)
        )
        return (await self._tx.scalars(query)).all()

    async def mark_sent(self, mail_id: str, *, now: datetime) -> None:
        """The relay has it."""
        await self._set(mail_id, sent_at=now)

    async def delay(self, mail_id: str, *, until: datetime) -> None:
        """Try it again then."""
        await self._set(mail_id, due_at=until)

    async def give_up(self, mail_id: str, *, now: datetime) -> None:
        """Never try it again."""
        await self._set(mail_id, failed_at=now)

    async def backlog(self) -> Backlog:
        """What waits."""
        query = select(func.count(), func.min(Mail.created_at)).where(text(WAITING))
        return Backlog(*(await self._tx.execute(query)).one())

    async def _set(self, mail_id: str, **values: datetime) -> None:
        """Unless it came to an end meanwhile, in another worker's hand."""
        await self._tx.execute(
            update(Mail).where(Mail.id == mail_id, text(WAITING)).values(**values)
        )
