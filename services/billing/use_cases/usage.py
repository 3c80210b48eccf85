"""Usage: record what the executor tells, show what an account used."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

from prometheus_client import Counter

from libs.common import periods
from libs.common.batching import Batch
from libs.common.contracts.billing import UsageAnswer
from libs.common.contracts.executor import RequestsFinished
from libs.common.contracts.plans import PLANS
from libs.common.crash_points import crash_point
from libs.common.errors import Unavailable
from services.billing.domain.usage import Total, Usage, countable
from services.billing.ports import Ports
from services.billing.repositories.accounts import BillingAccountRepository, Books
from services.billing.repositories.days import Span, UsageDayRepository
from services.billing.repositories.usage import UsageRepository

LINES: Final = 500
"""More lines of a period are summed by day: nobody reads them one by one."""

RECORDED: Final = Counter("reqrun_usage_recorded_total", "Requests counted")
REPEATED: Final = Counter("reqrun_usage_repeated_total", "Requests told again, not counted again")


class Recorder:
    """Counts each final live request once, however often and in whatever order it is told.

    Events that arrive together are written together: a commit costs more than what is in it.
    """

    def __init__(self, ports: Ports, see: Callable[[Iterable[str]], None] | None = None) -> None:
        """`see`: is told whose requests were new, once they are committed."""
        self._ports, self._see = ports, see
        self._batch: Batch[Sequence[Usage], None] = Batch(self._write_all, name="usage")

    async def record(self, event: RequestsFinished) -> None:
        """Returns after COMMIT. Raises what the database raised for this event."""
        usages = countable(event.requests)
        if usages:
            await self._batch(usages)

    async def _write_all(self, events: Sequence[Sequence[Usage]]) -> list[Exception | None]:
        try:
            await self._write([usage for usages in events for usage in usages])
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001  # told to each event that it belongs to
            # One usage that cannot be stored must not keep any other from being counted.
            return [await self._write_each(usages) for usages in events]
        return [None] * len(events)

    async def _write_each(self, usages: Sequence[Usage]) -> Exception | None:
        """Write what can be stored; the last failure, for this event's handler."""
        failure: Exception | None = None
        for usage in usages:
            try:
                await self._write([usage])
            except Exception as error:  # noqa: BLE001  # told once all have been tried
                failure = error
        return failure

    async def _write(self, usages: Sequence[Usage]) -> None:
        async with self._ports.db.transaction() as tx:
            added = await UsageRepository(tx).add_once(usages)
            crash_point("usage.before_commit")
        crash_point("usage.after_commit")
        RECORDED.inc(added)
        REPEATED.inc(len(usages) - added)
        if added and self._see is not None:
            self._see({usage.account_id for usage in usages})


async def show(ports: Ports, account_id: str) -> list[Total]:
    """What the account used, by period and final state. An account nobody knows used nothing."""
    async with ports.db.transaction() as tx:
        return await UsageRepository(tx).totals(account_id)


async def of_period(ports: Ports, account_id: str) -> UsageAnswer:
    """What it used in the period that is now. Raises BillingAccountNotFound."""
    async with ports.db.transaction() as tx:
        books = await BillingAccountRepository(tx).get(account_id)
        span = span_of(books, ports.clock.now())
        days = UsageDayRepository(tx)
        used = await days.used([span])
        lines = await days.lines(span, LINES)
    return UsageAnswer(
        period=span.begins_on,
        resets_on=span.until,
        allowed=PLANS[books.plan].limits.requests_per_month,
        finished=used.get(account_id, 0),
        lines=tuple(lines),
    )


def span_of(books: Books, now: datetime) -> Span:
    """The period that is now."""
    period = periods.period_of(books.anchor_day, now)
    return Span(books.account_id, period, periods.next_period(books.anchor_day, period))
