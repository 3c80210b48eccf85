"""What the database holds of one account, for whoever takes it along."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.domain.letters import LetterKind
from services.accounts.models import (
    ApiKey,
    Mail,
    Notice,
    Person,
    Project,
    ProviderConnection,
    Session,
    SupportEntry,
    SupportMessage,
)

_TO_THE_OPERATOR: Final = LetterKind.SUPPORT_NEW


class ExportRepository:
    """Within one transaction. Everything is the account's own, the oldest first."""

    def __init__(self, tx: AsyncSession, account_id: str) -> None:
        """Work in `tx`, for this account."""
        self._tx, self._account_id = tx, account_id

    async def projects(self) -> Sequence[Project]:
        """Erased ones included."""
        query = select(Project).where(Project.account_id == self._account_id)
        return await self._all(query.order_by(Project.id))

    async def sessions(self) -> Sequence[Session]:
        """Ended ones included, as long as they are kept."""
        query = select(Session).join(Person, Person.id == Session.person_id)
        query = query.where(Person.account_id == self._account_id)
        return await self._all(query.order_by(Session.id))

    async def api_keys(self) -> Sequence[ApiKey]:
        """Revoked ones included."""
        query = select(ApiKey).join(Project, Project.id == ApiKey.project_id)
        query = query.where(Project.account_id == self._account_id)
        return await self._all(query.order_by(ApiKey.id))

    async def connections(self) -> Sequence[ProviderConnection]:
        """Of all projects."""
        query = select(ProviderConnection).join(
            Project, Project.id == ProviderConnection.project_id
        )
        query = query.where(Project.account_id == self._account_id)
        return await self._all(query.order_by(ProviderConnection.id))

    async def mails(self) -> Sequence[Mail]:
        """To the person, not about them."""
        query = select(Mail).where(
            Mail.account_id == self._account_id, Mail.kind != _TO_THE_OPERATOR
        )
        return await self._all(query.order_by(Mail.id))

    async def notices(self) -> Sequence[Notice]:
        """What was told once."""
        query = select(Notice).where(Notice.account_id == self._account_id)
        return await self._all(query.order_by(Notice.told_at))

    async def support_messages(self) -> Sequence[SupportMessage]:
        """Closed ones included."""
        query = select(SupportMessage).where(SupportMessage.account_id == self._account_id)
        return await self._all(query.order_by(SupportMessage.id))

    async def support_entries(self) -> Sequence[SupportEntry]:
        """Of all messages."""
        query = select(SupportEntry).join(
            SupportMessage, SupportMessage.id == SupportEntry.message_id
        )
        query = query.where(SupportMessage.account_id == self._account_id)
        return await self._all(query.order_by(SupportEntry.id))

    async def _all(self, query: Select[Any]) -> Sequence[Any]:
        return list(await self._tx.scalars(query))
