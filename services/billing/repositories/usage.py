"""Usage records in the database: added once, summed up, never changed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Date,
    bindparam,
    cast,
    func,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.domain.usage import Total, Usage
from services.billing.models import UsageAccountDay, UsageRecord, UsageSum

_COUNTS: Final = ("attempts", "prompt_tokens", "completion_tokens", "total_tokens")
_COLUMNS: Final = [UsageRecord.__table__.columns[name] for name in Usage.__struct_fields__]

# One statement for the batch, whatever its length: the plan and the number of parameters stay the
# same. Ordered, so that two readers lock what they share in the same order.
_ADD: Final = text(
    f"INSERT INTO usage_records ({', '.join(column.name for column in _COLUMNS)})"  # noqa: S608  names of columns
    f" SELECT * FROM unnest({', '.join(f':{column.name}' for column in _COLUMNS)})"
    " ORDER BY 1 ON CONFLICT DO NOTHING RETURNING request_id"
).bindparams(*(bindparam(column.name, type_=ARRAY(column.type)) for column in _COLUMNS))


class UsageRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def add_once(self, batch: Sequence[Usage]) -> int:
        """How many of them were new; the others were counted before."""
        arrays: dict[str, list[Any]] = {
            name: [getattr(usage, name) for usage in batch] for name in Usage.__struct_fields__
        }
        return len((await self._tx.execute(_ADD, arrays)).all())

    async def totals(self, account_id: str) -> list[Total]:
        """By period and state, oldest period first; of a deleted account too."""
        names = ("state", "requests", *_COUNTS)
        month = cast(func.date_trunc("month", UsageAccountDay.day), Date).label("period")
        by_day = [getattr(UsageAccountDay, name) for name in names]
        summed = [getattr(UsageSum, name) for name in ("period", *names)]
        all_of_it = union_all(
            select(month, *by_day).where(UsageAccountDay.account_id == account_id),
            select(*summed).where(UsageSum.account_id == account_id),
        ).subquery()
        columns = all_of_it.c
        query = (
            select(
                columns.period,
                columns.state,
                *(
                    cast(func.sum(columns[name]), BigInteger).label(name)
                    for name in ("requests", *_COUNTS)
                ),
            )
            .group_by(columns.period, columns.state)
            .order_by(columns.period, columns.state)
        )
        return [Total(**row) for row in (await self._tx.execute(query)).mappings()]

    async def sum_up_closed(self, before: datetime, limit: int) -> int:
        """Of accounts that were closed before, turn sums by day into sums by month; how many."""
        summing = select(func.sum_up_closed_v2(before, limit))
        summed: int = (await self._tx.scalars(summing)).one()
        return summed

    async def drop_closed(self, before: datetime, limit: int) -> int:
        """Of accounts that were closed before, remove records, names and notices; how many."""
        dropping = select(func.drop_closed_usage_v1(before, limit))
        dropped: int = (await self._tx.scalars(dropping)).one()
        return dropped

    async def drop_old(self, before: date, limit: int) -> int:
        """Remove at most `limit` records of earlier months; the law's ten years stay. How many."""
        dropping = select(func.drop_old_usage_v2(before, limit))
        dropped: int = (await self._tx.scalars(dropping)).one()
        return dropped
