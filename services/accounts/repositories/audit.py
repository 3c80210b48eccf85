"""Audit events in the database: added and read, never changed."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.domain.audit import Entry
from services.accounts.models import AuditEvent


class AuditRepository:
    """Within one transaction: that of the change itself."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    def add(self, entry: Entry, *, at: datetime) -> None:
        """Write it down, if this transaction commits."""
        self._tx.add(
            AuditEvent(
                account_id=entry.account_id,
                project_id=entry.project_id,
                subject_id=entry.subject_id,
                actor=entry.actor,
                what=entry.what,
                at=at,
            )
        )

    async def list_of(self, account_id: str, *, limit: int = 100) -> list[AuditEvent]:
        """The account's newest entries, newest first."""
        query = (
            select(AuditEvent)
            .where(AuditEvent.account_id == account_id)
            .order_by(AuditEvent.at.desc(), AuditEvent.id.desc())
            .limit(limit)
        )
        return list(await self._tx.scalars(query))
