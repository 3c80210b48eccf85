"""Roll-ups: what has ended is counted within seconds, by any number of dispatchers."""

import asyncio
from datetime import timedelta
from typing import Final

from prometheus_client import Counter, Gauge

from libs.common import logs, runtime
from libs.ledger.connection import LedgerAway
from services.executor.ports import DispatcherPorts

log = logs.get(__name__)

LEDGER_AWAY: Final = "ledger_away"
ROLL_UP_FAILED: Final = "roll_up_failed"

EVERY: Final = timedelta(seconds=2)

COUNTED: Final = Counter("reqrun_rolled_up_facts_total", "Rows of the outbox that were counted")
LAG: Final = Gauge("reqrun_rollup_lag_seconds", "Age of the oldest fact that is not counted")


async def keep_rolling_up(ports: DispatcherPorts, stop: asyncio.Event) -> None:
    """A loop: count what has ended, at once while there is more."""
    while not stop.is_set():
        has_more = False
        try:
            has_more = await roll_up(ports)
        except LedgerAway:
            log.warning(LEDGER_AWAY)
        except Exception:  # numbers that are late must not end the dispatcher
            log.exception(ROLL_UP_FAILED)
        if not has_more:
            await runtime.sleep(stop, EVERY.total_seconds())


async def roll_up(ports: DispatcherPorts) -> bool:
    """Count once; whether there is more. Raises LedgerAway."""
    rolled_up = await ports.ledger.roll_up()
    COUNTED.inc(rolled_up.counted)
    LAG.set(rolled_up.lag_seconds)
    return rolled_up.has_more
