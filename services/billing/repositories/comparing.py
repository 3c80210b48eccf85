"""What the books say, for comparing it with the ledger."""

from collections.abc import Collection, Sequence
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.domain.drift import Counted, Told
from services.billing.models import BillingAccount, UsageAccountDay, UsageRecord


class ComparingRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def of_day(self, day: date) -> dict[str, Counted]:
        """Of all accounts."""
        table = UsageAccountDay
        columns = [table.prompt_tokens, table.completion_tokens, table.total_tokens]
        rows = await self._tx.execute(
            select(table.account_id, table.state, table.requests, *columns).where(table.day == day)
        )
        found: dict[str, dict[str, int]] = {}
        for account_id, state, requests, *tokens in rows:
            sums = found.setdefault(account_id, {})
            sums[state] = requests
            for column, number in zip(columns, tokens, strict=True):
                sums[column.key] = sums.get(column.key, 0) + number
        return {account_id: Counted(**sums) for account_id, sums in found.items()}

    async def closed(self, account_ids: Collection[str]) -> set[str]:
        """Those of them that were deleted: their usage is made into sums."""
        query = select(BillingAccount.account_id).where(
            BillingAccount.account_id == func.any(list(account_ids)),
            BillingAccount.closed_at.is_not(None),
        )
        return set(await self._tx.scalars(query))

    async def records(
        self,
        account_ids: Sequence[str],
        low: datetime,
        high: datetime,
        *,
        after: str | None,
        last: str | None,
    ) -> dict[str, Told]:
        """By id, those of greater ids than `after` up to `last`; ids sort alike everywhere."""
        record = UsageRecord
        query = select(record).where(
            record.account_id.in_(account_ids),
            record.created_at >= low,
            record.created_at < high,
        )
        if after is not None:
            query = query.where(record.request_id > after)
        if last is not None:
            query = query.where(record.request_id <= last)
        return {
            row.request_id: Told(
                row.account_id,
                row.state,
                (row.prompt_tokens, row.completion_tokens, row.total_tokens),
                row.finished_at,
            )
            for row in await self._tx.scalars(query)
        }
