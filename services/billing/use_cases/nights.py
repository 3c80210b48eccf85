"""Each night the books of the last days are compared with the ledger, and repaired."""

import asyncio
from datetime import timedelta
from typing import Final

from prometheus_client import Gauge

from libs.common import logs
from services.billing.ports import Ports
from services.billing.use_cases import nightly
from services.billing.use_cases.nightly import Night
from services.billing.use_cases.reconciling import reconcile

log = logs.get(__name__)

USAGE_RECONCILED: Final = "usage_reconciled"
USAGE_NOT_RECONCILED: Final = "usage_not_reconciled"

DRIFT: Final = Gauge(
    "reqrun_usage_drift_requests", "Requests that the last night found and left; must read 0"
)

DAYS: Final = 8
"""A request may end seven days after the one on which it was accepted."""


async def keep_books_true(ports: Ports, stop: asyncio.Event) -> None:
    """A loop, of every worker: one of them works each night after two o'clock (UTC)."""
    await nightly.keep(NIGHT, ports, stop)


async def pass_night(ports: Ports) -> bool:
    """Whether it was time, and ours to do. Raises what `reconcile` does."""
    return await nightly.work(NIGHT, ports)


async def _compare(ports: Ports) -> int:
    today = ports.clock.now().date()
    first, last = today - timedelta(days=DAYS), today - timedelta(days=1)
    found = await reconcile(ports, first, last, is_repairing=True)
    log.info(USAGE_RECONCILED, count=found.accepted, drift=found.left)
    return found.left


NIGHT: Final = Night(
    name="usage",
    hour=2,
    can=lambda ports: ports.ledger is not None,
    work=_compare,
    drift=DRIFT,
    failed=USAGE_NOT_RECONCILED,
)
