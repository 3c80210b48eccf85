"""Usage records in the database: added once, summed up, never changed."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.domain.usage import Total, Usage
from services.billing.models import UsageRecord

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
        """By period and state, oldest period first."""
        record = UsageRecord
        query = (
            select(
                record.period,
                record.state,
                func.count().label("requests"),
                *(
                    func.sum(column).label(column.key)
                    for column in (
                        record.attempts,
                        record.prompt_tokens,
                        record.completion_tokens,
                        record.total_tokens,
                    )
                ),
            )
            .where(record.account_id == account_id)
            .group_by(record.period, record.state)
            .order_by(record.period, record.state)
        )
        return [Total(**row) for row in (await self._tx.execute(query)).mappings()]
