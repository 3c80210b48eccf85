"""Signals of abuse in the database."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.domain.abuse import Signal
from services.accounts.models import AbuseSignal


class AbuseRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def count(self, what: Signal, network: str, *, started_at: datetime) -> None:
        """Once more, within the hour that began then."""
        first = insert(AbuseSignal).values(
            what=what, network=network, started_at=started_at, count=1
        )
        await self._tx.execute(
            first.on_conflict_do_update(
                index_elements=[AbuseSignal.what, AbuseSignal.network, AbuseSignal.started_at],
                set_={"count": AbuseSignal.count + 1},
            )
        )

    async def list_since(self, since: datetime, *, limit: int) -> Sequence[AbuseSignal]:
        """The newest hour first, and in each hour what happened most."""
        query = select(AbuseSignal).where(AbuseSignal.started_at >= since)
        order = (AbuseSignal.started_at.desc(), AbuseSignal.count.desc(), AbuseSignal.network)
        return list(await self._tx.scalars(query.order_by(*order).limit(limit)))
