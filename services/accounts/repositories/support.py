"""Support messages in the database."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.domain.errors import SupportMessageNotFound
from services.accounts.domain.support import AFTER, Author, Draft, State
from services.accounts.models import Person, SupportEntry, SupportMessage


class SupportRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def add(self, message: SupportMessage) -> None:
        """Insert it now, so that its entries may follow."""
        self._tx.add(message)
        await self._tx.flush()

    def write(self, message: SupportMessage, author: Author, text: str, *, at: datetime) -> None:
        """One more entry. It is the other side's turn then."""
        message.state, message.updated_at, message.closed_at = AFTER[author], at, None
        self._tx.add(SupportEntry(message_id=message.id, author=author, text=text, at=at))

    async def get(self, account_id: str, message_id: str) -> SupportMessage:
        """One of this account's. Raises SupportMessageNotFound."""
        return await self._one(_of(account_id, message_id))

    async def lock(self, account_id: str, message_id: str) -> SupportMessage:
        """The same, nobody else's to change until the end. Raises SupportMessageNotFound."""
        return await self._one(_of(account_id, message_id).with_for_update())

    async def get_any(self, message_id: str) -> SupportMessage:
        """Anybody's: for the operator. Raises SupportMessageNotFound."""
        return await self._one(_any(message_id))

    async def lock_any(self, message_id: str) -> SupportMessage:
        """The same, nobody else's to change until the end. Raises SupportMessageNotFound."""
        return await self._one(_any(message_id).with_for_update())

    async def find_twin(
        self, account_id: str, draft: Draft, *, since: datetime
    ) -> SupportMessage | None:
        """One of the account's that was begun since then, and begins with the same words."""
        same = (SupportMessage.kind == draft.kind, SupportMessage.subject == draft.subject)
        query = (
            select(SupportMessage)
            .join(SupportEntry, SupportEntry.message_id == SupportMessage.id)
            .where(SupportMessage.account_id == account_id, SupportMessage.created_at >= since)
            .where(*same, SupportEntry.text == draft.text)
        )
        return (await self._tx.scalars(query)).first()

    async def list_of(self, account_id: str) -> Sequence[SupportMessage]:
        """All of an account's, the one written to last first."""
        query = select(SupportMessage).where(SupportMessage.account_id == account_id)
        order = (SupportMessage.updated_at.desc(), SupportMessage.id.desc())
        return list(await self._tx.scalars(query.order_by(*order)))

    async def list_all(self, state: State | None, *, limit: int) -> Sequence[SupportMessage]:
        """Everybody's in this state, or in any; who has waited longest first."""
        query = select(SupportMessage)
        if state is not None:
            query = query.where(SupportMessage.state == state)
        order = (SupportMessage.updated_at, SupportMessage.id)
        return list(await self._tx.scalars(query.order_by(*order).limit(limit)))

    async def entries_of(self, message_id: str) -> Sequence[SupportEntry]:
        """The oldest first."""
        query = select(SupportEntry).where(SupportEntry.message_id == message_id)
        return list(await self._tx.scalars(query.order_by(SupportEntry.id)))

    async def writer_of(self, message: SupportMessage) -> Person | None:
        """Who began it; None where they are gone."""
        return await self._tx.get(Person, message.person_id)

    async def _one(self, query: Select[SupportMessage]) -> SupportMessage:
        rows = await self._tx.scalars(query, execution_options={"populate_existing": True})
        found = rows.first()
        if found is None:
            raise SupportMessageNotFound("There is no support message with this id.")
        return found


def _any(message_id: str) -> Select[SupportMessage]:
    return select(SupportMessage).where(SupportMessage.id == message_id)


def _of(account_id: str, message_id: str) -> Select[SupportMessage]:
    return _any(message_id).where(SupportMessage.account_id == account_id)
