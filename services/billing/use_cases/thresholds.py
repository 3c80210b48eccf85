"""Tell an account that 80 or 100 % of what its plan allows in a period is used.

Told once an account, period, percent and allowed number, so of a larger plan anew (decision 0024).
What counts are final requests of the period that is now. Who was recorded is looked at some seconds
later; all that used anything of late at the start and every ten minutes, so that a worker that died
and a plan that changed leave nobody untold.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from prometheus_client import Counter

from libs.common import logs, outbox, runtime
from libs.common.contracts.billing import UsageThresholdReached
from libs.common.contracts.plans import PLANS
from services.billing.domain.thresholds import reached
from services.billing.ports import Ports
from services.billing.repositories.accounts import BillingAccountRepository, Books
from services.billing.repositories.days import Notice, Span, UsageDayRepository
from services.billing.use_cases.usage import span_of

log = logs.get(__name__)

THRESHOLDS_FAILED: Final = "usage_thresholds_failed"

EVERY: Final = timedelta(seconds=3)
ALL_EVERY: Final = timedelta(minutes=10)
OF_LATE: Final = timedelta(days=31)
BATCH: Final = 200

TOLD: Final = Counter(
    "reqrun_usage_thresholds_told_total", "Accounts told of their use", ["percent"]
)


class Watch:
    """Accounts that were recorded and not looked at yet. Any number of workers may watch."""

    def __init__(self, ports: Ports) -> None:
        """Nobody was recorded yet."""
        self._ports = ports
        self._recorded: set[str] = set()

    def see(self, account_ids: Iterable[str]) -> None:
        """Look at them soon. Returns at once."""
        self._recorded.update(account_ids)

    async def run(self, stop: asyncio.Event) -> None:
        """A loop: every three seconds who was recorded, every ten minutes everybody."""
        rounds = ALL_EVERY // EVERY
        number = 0
        while not stop.is_set():
            try:
                if number % rounds == 0:
                    await tell_all(self._ports)
                number += 1
                await self.look()
            except Exception:  # it is tried again in three seconds
                log.exception(THRESHOLDS_FAILED)
            await runtime.sleep(stop, EVERY.total_seconds())

    async def look(self) -> None:
        """At all who were recorded until now; whom it failed for is looked at again."""
        while self._recorded:
            some = sorted(self._recorded)[:BATCH]
            self._recorded.difference_update(some)
            try:
                await tell(self._ports, some)
            except BaseException:
                self._recorded.update(some)
                raise


async def tell_all(ports: Ports) -> None:
    """Everybody who used anything in the longest of periods."""
    since, last = (ports.clock.now() - OF_LATE).date(), ""
    while True:
        async with ports.db.transaction() as tx:
            some = await UsageDayRepository(tx).accounts_since(since, last, BATCH)
        if not some:
            return
        await tell(ports, some)
        last = some[-1]


async def tell(ports: Ports, account_ids: Sequence[str]) -> None:
    """Those of them that reached what they were not told of."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        found = await BillingAccountRepository(tx).find(account_ids)
        days = UsageDayRepository(tx)
        of_all = {books.account_id: span_of(books, now) for books in found if not books.is_closed}
        used = await days.used(list(of_all.values()))
        notices = [_notice(books, of_all, used) for books in found if books.account_id in used]
        told = await days.add_notices([one for one in notices if one is not None], at=now)
        for notice in sorted(told, key=lambda one: one.account_id):
            account_id = notice.account_id
            await outbox.add(tx, _event(notice, of_all[account_id], used[account_id]))
    for notice in told:
        TOLD.labels(str(notice.percent)).inc()


def _notice(books: Books, spans: Mapping[str, Span], used: Mapping[str, int]) -> Notice | None:
    allowed = PLANS[books.plan].limits.requests_per_month
    percent = reached(used[books.account_id], allowed)
    if percent is None:
        return None
    period = spans[books.account_id].begins_on
    return Notice(books.account_id, period, percent, allowed)


def _event(notice: Notice, span: Span, used: int) -> UsageThresholdReached:
    return UsageThresholdReached(
        account_id=notice.account_id,
        percent=notice.percent,
        period=notice.period,
        resets_on=span.until,
        used=used,
        allowed=notice.allowed,
    )
