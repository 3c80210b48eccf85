"""What goes, and what is stripped, when an account is deleted."""

from typing import Final

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.models import (
    ApiKey,
    Base,
    Link,
    Mail,
    Notice,
    Person,
    Project,
    Session,
    SupportMessage,
)

STRIPPED: Final = "deleted"
"""In place of a name."""


class DeletionRepository:
    """Within one transaction. Everything here is harmless again."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def strip_audit(self, account_id: str, limit: int) -> int:
        """Take the person out of at most `limit` audit events: what happened stays. How many.

        The database refuses it (SQLSTATE 42501) unless the account is being erased.
        """
        strip = select(func.strip_audit_events_v1(account_id, limit))
        stripped: int = (await self._tx.scalars(strip)).one()
        return stripped

    async def forget(self, account_id: str) -> None:
        """Everything that refers to the account's people, keys and projects, but for bare ids.

        Texts of support messages go with them (ON DELETE CASCADE).
        """
        people = select(Person.id).where(Person.account_id == account_id).scalar_subquery()
        projects = select(Project.id).where(Project.account_id == account_id).scalar_subquery()
        await self._delete(Link, Link.person_id.in_(people))
        await self._delete(Session, Session.person_id.in_(people))
        await self._delete(Mail, Mail.account_id == account_id)
        await self._delete(Notice, Notice.account_id == account_id)
        await self._delete(SupportMessage, SupportMessage.account_id == account_id)
        await self._delete(ApiKey, ApiKey.project_id.in_(projects))
        await self._delete(Person, Person.account_id == account_id)
        await self._tx.execute(
            update(Project)
            .where(Project.account_id == account_id)
            .values(name=STRIPPED, allowed_addresses=[])
            .execution_options(synchronize_session=False)
        )

    async def _delete(self, table: type[Base], which: ColumnElement[bool]) -> None:
        statement = delete(table).where(which)
        await self._tx.execute(statement.execution_options(synchronize_session=False))
