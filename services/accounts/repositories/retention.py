"""Rows whose time is over (libs/common/retention.py), removed in bounded batches."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, delete, func, inspect, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common import retention
from services.accounts.models import (
    AbuseSignal,
    AuditEvent,
    Base,
    Link,
    Mail,
    Notice,
    Session,
    SupportMessage,
    Throttle,
)

BATCH: Final = 1_000


class Sweep(NamedTuple):
    """A table, and which of its rows are to go now."""

    table: type[Base]
    is_over: Callable[[datetime], ColumnElement[bool]]


SWEEPS: Final = (
    Sweep(Session, lambda now: Session.seen_at <= now - retention.SESSION_IDLE),
    Sweep(Link, lambda now: Link.expires_at <= now - retention.LINKS),
    Sweep(Throttle, lambda now: Throttle.full_at <= now),
    Sweep(
        Mail,
        lambda now: or_(
            Mail.sent_at <= now - retention.MAILS_SENT,
            Mail.failed_at <= now - retention.MAILS_GIVEN_UP,
        ),
    ),
    Sweep(Notice, lambda now: Notice.told_at <= now - retention.NOTICES),
    Sweep(SupportMessage, lambda now: SupportMessage.closed_at <= now - retention.SUPPORT),
    Sweep(AbuseSignal, lambda now: AbuseSignal.started_at <= now - retention.ABUSE),
)


class RetentionRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def sweep(self, sweep: Sweep, now: datetime) -> int:
        """Remove at most BATCH rows that nobody has locked; how many."""
        key = inspect(sweep.table).primary_key
        some = select(*key).where(sweep.is_over(now)).limit(BATCH).with_for_update(skip_locked=True)
        over = some.cte("over")  # asked once: inside the IN it may find others for each row
        gone = await self._tx.execute(
            delete(sweep.table)
            .where(tuple_(*key).in_(select(over)))
            .returning(*key)
            .execution_options(synchronize_session=False)
        )
        return len(gone.all())

    async def count(self, sweep: Sweep, now: datetime) -> int:
        """How many a sweep would find."""
        over = select(func.count()).select_from(sweep.table).where(sweep.is_over(now))
        return (await self._tx.scalars(over)).one()

    async def count_audit_events(self, now: datetime) -> int:
        """How many are old."""
        old = AuditEvent.at < now - retention.AUDIT
        statement = select(func.count()).select_from(AuditEvent).where(old)
        return (await self._tx.scalars(statement)).one()

    async def drop_audit_events(self, now: datetime) -> int:
        """Remove at most BATCH old ones; the database keeps younger ones whatever it is asked."""
        drop = select(func.drop_audit_events_v1(now - retention.AUDIT, BATCH))
        dropped: int = (await self._tx.scalars(drop)).one()
        return dropped


SWEPT: Final = {*(sweep.table.__tablename__ for sweep in SWEEPS), AuditEvent.__tablename__}
"""What is swept here; the outbox is its relay's."""
