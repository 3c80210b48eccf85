"""Accounts in the database."""

from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.domain.errors import AccountLeaving, AccountNotFound
from services.accounts.models import Account


class AccountRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def add(self, account: Account) -> None:
        """Insert it now, so that what refers to it may follow."""
        self._tx.add(account)
        await self._tx.flush()

    async def get(self, account_id: str) -> Account:
        """The account. Raises AccountNotFound."""
        return _found(await self._tx.get(Account, account_id))

    async def lock(self, account_id: str) -> Account:
        """The account, nobody else's to change until the end. Raises AccountNotFound."""
        return _found(
            await self._tx.get(Account, account_id, with_for_update=True, populate_existing=True)
        )

    async def lock_living(self, account_id: str) -> Account | None:
        """The same for what an event is about: None where it was erased, or never was."""
        found = await self._tx.get(
            Account, account_id, with_for_update=True, populate_existing=True
        )
        return None if found is None or found.erased_at is not None else found

    async def hold(self, account_id: str) -> Account:
        """For what adds something to it: nobody else does, and nobody deletes it, until the end.

        Raises AccountNotFound; AccountLeaving where its deletion is under way.
        """
        found = await self.lock(account_id)
        if found.leaves_at is not None:
            raise AccountLeaving("This account is about to be deleted: nothing new fits into it.")
        return found

    async def find_due(self, now: datetime, after: Account | None, *, limit: int) -> list[Account]:
        """Whose deletion is due, the longest first; on from behind `after`."""
        place = tuple_(Account.leaves_at, Account.id)
        query = (
            select(Account)
            .where(Account.leaves_at <= now, Account.erased_at.is_(None))
            .order_by(Account.leaves_at, Account.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(place > tuple_(after.leaves_at, after.id))
        return list(await self._tx.scalars(query))

    async def find_by_name(self, name: str) -> Account | None:
        """The oldest account of that name."""
        query = select(Account).where(Account.name == name).order_by(Account.id).limit(1)
        return (await self._tx.scalars(query)).first()

    async def list_all(self) -> list[Account]:
        """Every account, oldest first."""
        return list(await self._tx.scalars(select(Account).order_by(Account.id)))


def _found(account: Account | None) -> Account:
    if account is None:
        raise AccountNotFound("There is no account with this id.")
    return account
