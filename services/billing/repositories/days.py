"""Sums of usage by day, which a trigger keeps where records are added (migration 0003)."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Final

import msgspec
from sqlalchemy import ARRAY, Date, Text, bindparam, exists, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.contracts.billing import UsageLine
from services.billing.domain.thresholds import Percent
from services.billing.models import BillingAccount, UsageAccountDay, UsageNotice


class Span(msgspec.Struct, frozen=True):
    """Days of an account; `until` is not among them."""

    account_id: str
    begins_on: date
    until: date


class Notice(msgspec.Struct, frozen=True):
    """What is told once: see models/usage.py."""

    account_id: str
    period: date
    percent: Percent
    allowed: int


# What is beyond the largest is summed by day, and has no project and no model.
_LINES: Final = text("""
    WITH line AS (
        SELECT day, project_id, model, sum(requests) AS requests,
            coalesce(sum(requests) FILTER (WHERE state = 'completed'), 0) AS completed,
            coalesce(sum(requests) FILTER (WHERE state = 'failed'), 0) AS failed,
            coalesce(sum(requests) FILTER (WHERE state = 'cancelled'), 0) AS cancelled,
            sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
            sum(total_tokens) AS total_tokens
        FROM usage_days
        WHERE account_id = :account_id AND day >= :begins_on AND day < :until
        GROUP BY day, project_id, model
    ), ranked AS (
        SELECT *, row_number() OVER (ORDER BY requests DESC, day DESC, project_id, model)
            <= :limit AS is_large
        FROM line
    )
    SELECT day, CASE WHEN is_large THEN project_id ELSE '' END AS project_id,
        CASE WHEN is_large THEN model ELSE '' END AS model, sum(completed)::bigint AS completed,
        sum(failed)::bigint AS failed, sum(cancelled)::bigint AS cancelled,
        sum(prompt_tokens)::bigint AS prompt_tokens,
        sum(completion_tokens)::bigint AS completion_tokens,
        sum(total_tokens)::bigint AS total_tokens
    FROM ranked
    GROUP BY 1, 2, 3, is_large
    ORDER BY is_large DESC, sum(requests) DESC, 1 DESC, 2, 3
""")

_USED: Final = text("""
    SELECT s.account_id, sum(d.requests)::bigint AS used
    FROM unnest(:accounts, :begins, :ends) AS s (account_id, begins_on, until)
    JOIN usage_account_days d
        ON d.account_id = s.account_id AND d.day >= s.begins_on AND d.day < s.until
    GROUP BY 1
""").bindparams(
    bindparam("accounts", type_=ARRAY(Text)),
    bindparam("begins", type_=ARRAY(Date)),
    bindparam("ends", type_=ARRAY(Date)),
)


class UsageDayRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def lines(self, span: Span, limit: int) -> list[UsageLine]:
        """The `limit` largest, largest first; then the rest, a line a day."""
        given = {**msgspec.structs.asdict(span), "limit": limit}
        return [UsageLine(**row) for row in (await self._tx.execute(_LINES, given)).mappings()]

    async def used(self, spans: Sequence[Span]) -> dict[str, int]:
        """Final requests of each account in its span; one without any is absent."""
        given = {
            "accounts": [span.account_id for span in spans],
            "begins": [span.begins_on for span in spans],
            "ends": [span.until for span in spans],
        }
        rows = await self._tx.execute(_USED, given)
        return {row.account_id: row.used for row in rows}

    async def accounts_since(self, day: date, after: str, limit: int) -> list[str]:
        """Open ones with requests of that day or later, in order, of greater ids than `after`.

        By account, so that none of the days before is read: ten years of them are kept.
        """
        account = BillingAccount
        used = exists().where(
            UsageAccountDay.account_id == account.account_id, UsageAccountDay.day >= day
        )
        query = (
            select(account.account_id)
            .where(account.account_id > after, account.closed_at.is_(None), used)
            .order_by(account.account_id)
            .limit(limit)
        )
        return list(await self._tx.scalars(query))

    async def add_notices(self, notices: Collection[Notice], *, at: datetime) -> set[Notice]:
        """Those that were not told before; ordered, so that two who add wait for each other."""
        if not notices:
            return set()
        rows = sorted(
            (msgspec.structs.asdict(one) for one in notices), key=lambda row: [*row.values()]
        )
        statement = (
            insert(UsageNotice)
            .values([{**row, "told_at": at} for row in rows])
            .on_conflict_do_nothing()
            .returning(
                UsageNotice.account_id,
                UsageNotice.period,
                UsageNotice.percent,
                UsageNotice.allowed,
            )
        )
        added = {tuple(row) for row in await self._tx.execute(statement)}
        return {one for one in notices if msgspec.structs.astuple(one) in added}
