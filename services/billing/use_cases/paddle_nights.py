"""Each night what we know is compared with what Paddle says, and repaired."""

import asyncio
from datetime import timedelta
from typing import Final

from prometheus_client import Gauge

from libs.common import logs, runtime
from services.billing.ports import Ports
from services.billing.repositories.nights import NightRepository
from services.billing.use_cases.paddle_reconciling import reconcile

log = logs.get(__name__)

PADDLE_RECONCILED: Final = "paddle_reconciled"
PADDLE_NOT_RECONCILED: Final = "paddle_not_reconciled"

DRIFT: Final = Gauge(
    "reqrun_paddle_drift_rows",
    "Things of Paddle's that the last night found otherwise here and could not repair; must read 0",
)

NAME: Final = "paddle"
HOUR: Final = 3
EVERY: Final = timedelta(minutes=1)
STALE: Final = timedelta(hours=2)
AGAIN: Final = timedelta(minutes=10)


async def agree_with_paddle(ports: Ports, stop: asyncio.Event) -> None:
    """A loop, of every worker: one of them works each night after three o'clock (UTC)."""
    while not stop.is_set():
        try:
            await pass_night(ports)
            async with ports.db.transaction() as tx:
                DRIFT.set(await NightRepository(tx).drift(NAME))
        except Exception:  # it is tried again in ten minutes
            log.exception(PADDLE_NOT_RECONCILED)
        await runtime.sleep(stop, EVERY.total_seconds())


async def pass_night(ports: Ports) -> bool:
    """Whether it was time, and ours to do. Raises what `reconcile` does."""
    now = ports.clock.now()
    if now.hour < HOUR or ports.paddle is None:
        return False
    async with ports.db.transaction() as tx:
        is_ours = await NightRepository(tx).take(NAME, now.date(), now=now, stale=now - STALE)
    if not is_ours:
        return False
    try:
        found = await reconcile(ports, is_repairing=True)
    except BaseException:
        async with ports.db.transaction() as tx:
            await NightRepository(tx).go_on(NAME, at=now - STALE + AGAIN)
        raise
    async with ports.db.transaction() as tx:
        await NightRepository(tx).end(NAME, drift=found.left, now=ports.clock.now())
    log.info(PADDLE_RECONCILED, count=len(found.drifts), drift=found.left)
    return True
