"""Each night what we know is compared with what Paddle says, and repaired."""

import asyncio
from typing import Final

from prometheus_client import Gauge

from libs.common import logs
from services.billing.ports import Ports
from services.billing.use_cases import nightly
from services.billing.use_cases.nightly import Night
from services.billing.use_cases.paddle_reconciling import reconcile

log = logs.get(__name__)

PADDLE_RECONCILED: Final = "paddle_reconciled"
PADDLE_NOT_RECONCILED: Final = "paddle_not_reconciled"

DRIFT: Final = Gauge(
    "reqrun_paddle_drift_rows",
    "Things of Paddle's that the last night found otherwise here and could not repair; must read 0",
)


async def agree_with_paddle(ports: Ports, stop: asyncio.Event) -> None:
    """A loop, of every worker: one of them works each night after three o'clock (UTC)."""
    await nightly.keep(NIGHT, ports, stop)


async def pass_night(ports: Ports) -> bool:
    """Whether it was time, and ours to do. Raises what `reconcile` does."""
    return await nightly.work(NIGHT, ports)


async def _compare(ports: Ports) -> int:
    found = await reconcile(ports, is_repairing=True)
    log.info(PADDLE_RECONCILED, count=len(found.drifts), drift=found.left)
    return found.left


NIGHT: Final = Night(
    name="paddle",
    hour=3,
    can=lambda ports: ports.paddle is not None,
    work=_compare,
    drift=DRIFT,
    failed=PADDLE_NOT_RECONCILED,
)
