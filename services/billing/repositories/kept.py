"""What we have of Paddle's things, for comparing."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.domain.entities import Kind
from services.billing.models import Adjustment, Subscription, Transaction
from services.billing.models.base import Base

_TABLES: Final[dict[Kind, Table]] = {
    kind: Base.metadata.tables[model.__tablename__]
    for kind, model in {
        Kind.SUBSCRIPTION: Subscription,
        Kind.TRANSACTION: Transaction,
        Kind.ADJUSTMENT: Adjustment,
    }.items()
}


class Kept(msgspec.Struct, frozen=True):
    """A row. `occurred_at`: of the event that it stands for."""

    occurred_at: datetime
    values: dict[str, Any]


class KeptRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def find(self, kind: Kind, ids: Collection[str]) -> dict[str, Kept]:
        """Those that there are, by id."""
        table = _TABLES[kind]
        rows = await self._tx.execute(select(table).where(table.c.id.in_(ids)))
        return {row["id"]: Kept(row["occurred_at"], dict(row)) for row in rows.mappings()}

    async def living_subscriptions(self) -> set[str]:
        """Ids of all that have not ended."""
        query = select(Subscription.id).where(Subscription.state != "canceled")
        return set((await self._tx.scalars(query)).all())
