"""Each night the books of the last days are compared with the ledger, and repaired."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Gauge

from libs.common import logs, runtime
from services.billing.ports import Ports
from services.billing.repositories.nights import NightRepository
from services.billing.use_cases.reconciling import reconcile

log = logs.get(__name__)

USAGE_RECONCILED: Final = "usage_reconciled"
USAGE_NOT_RECONCILED: Final = "usage_not_reconciled"

DRIFT: Final = Gauge(
    "reqrun_usage_drift_requests", "Requests that the last night found and left; must read 0"
)

NAME: Final = "usage"
HOUR: Final = 2
EVERY: Final = timedelta(minutes=1)
DAYS: Final = 8
"""A request may end seven days after the one on which it was accepted."""

STALE: Final = timedelta(hours=2)
AGAIN: Final = timedelta(minutes=10)


async def keep_books_true(ports: Ports, stop: asyncio.Event) -> None:
    """A loop, of every worker: one of them works each night after two o'clock (UTC)."""
    while not stop.is_set():
        try:
            await pass_night(ports)
            async with ports.db.transaction() as tx:
                DRIFT.set(await NightRepository(tx).drift(NAME))
        except Exception:  # it is tried again in ten minutes
            log.exception(USAGE_NOT_RECONCILED)
        await runtime.sleep(stop, EVERY.total_seconds())


async def pass_night(ports: Ports) -> bool:
    """Whether it was time, and ours to do. Raises what `reconcile` does."""
    now = ports.clock.now()
    if now.hour < HOUR or ports.ledger is None or not await _take(ports, now):
        return False
    today = now.date()
    try:
        found = await reconcile(
            ports, today - timedelta(days=DAYS), today - timedelta(days=1), is_repairing=True
        )
    except BaseException:
        async with ports.db.transaction() as tx:
            await NightRepository(tx).go_on(NAME, at=now - STALE + AGAIN)
        raise
    async with ports.db.transaction() as tx:
        await NightRepository(tx).end(NAME, drift=found.left, now=ports.clock.now())
    log.info(USAGE_RECONCILED, count=found.accepted, drift=found.left)
    return True


async def _take(ports: Ports, now: datetime) -> bool:
    async with ports.db.transaction() as tx:
        nights = NightRepository(tx)
        return await nights.take(NAME, now.date(), now=now, stale=now - STALE)
