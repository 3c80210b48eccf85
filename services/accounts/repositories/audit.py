"""Audit events in the database: added and read, never changed."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.domain.audit import Actor, Change, Entry, Filter, changes_of
from services.accounts.models import AuditEvent, Person

_ALL: Final = Filter()


def by_person(
    what: Change, person: Person, network: str | None, subject_id: str | None = None
) -> Entry:
    """What somebody did to their account, or to a thing of theirs; from where, truncated."""
    return Entry(
        what=what,
        account_id=person.account_id,
        subject_id=subject_id or person.id,
        actor=Actor(person.id, network),
    )


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
                actor=entry.actor.id,
                network=entry.actor.network,
                what=entry.what,
                detail=entry.detail,
                at=at,
            )
        )

    async def list_of(
        self, account_id: str, wish: Filter = _ALL, *, before: int | None = None, limit: int = 100
    ) -> list[AuditEvent]:
        """The account's newest entries, newest first; those older than entry `before`.

        An entry that is not the account's own has nothing before it.
        """
        query = select(AuditEvent).where(AuditEvent.account_id == account_id, *_wished(wish))
        if before is not None:
            last = select(AuditEvent.at, AuditEvent.id).where(
                AuditEvent.account_id == account_id, AuditEvent.id == before
            )
            query = query.where(tuple_(AuditEvent.at, AuditEvent.id) < last.scalar_subquery())
        query = query.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit)
        return list(await self._tx.scalars(query))


def _wished(wish: Filter) -> Iterator[ColumnElement[Any]]:
    if wish.group is not None:
        yield AuditEvent.what.in_(changes_of(wish.group))
    if wish.project_id is not None:
        yield AuditEvent.project_id == wish.project_id
    if wish.actor is not None:
        yield AuditEvent.actor == wish.actor
    if wish.since is not None:
        yield AuditEvent.at >= wish.since
    if wish.until is not None:
        yield AuditEvent.at < wish.until
