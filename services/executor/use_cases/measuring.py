"""Gauges of the whole ledger, set by every dispatcher: what is open, how late, and what must be 0.

Each replica measures the same; whoever reads them takes the maximum.
"""

import asyncio
from datetime import timedelta
from typing import Final

from prometheus_client import Gauge

from libs.common import logs, runtime
from libs.ledger.connection import LedgerAway
from libs.ledger.states import UNLEASED, State
from libs.ledger.upkeep import AGES, Backlog
from services.executor.ports import DispatcherPorts

log = logs.get(__name__)

LEDGER_AWAY: Final = "ledger_away"
MEASURING_FAILED: Final = "measuring_failed"
DRIFT_FOUND: Final = "drift_found"

EVERY: Final = timedelta(seconds=30)

AGE_NAMES: Final = ("under_1m", "1m_to_10m", "10m_to_1h", "1h_to_1d", "over_1d")
OPEN: Final = Gauge(
    "reqrun_open_requests",
    "Requests that have not ended, by the time since they were accepted",
    ["state", "age"],
)
WORKABLE: Final = Gauge(
    "reqrun_workable_requests", "Requests with a slot that a free executor could begin now"
)
LARGEST: Final = Gauge(
    "reqrun_largest_account_requests", "Open requests of the account that has the most"
)
SIZE: Final = Gauge("reqrun_ledger_size_bytes", "Size of database `requests` on disk")
OLDEST_DUE: Final = Gauge("reqrun_oldest_due_seconds", "How late the latest due row is")
FORGOTTEN: Final = Gauge("reqrun_forgotten_rows", "Rows over ten minutes late; must read 0")
DRIFT: Final = Gauge("reqrun_counter_drift_rows", "Counters that differ; must read 0", ["counter"])

_GROUPS: Final = {
    (state, age): OPEN.labels(state.value, name)
    for state in (*sorted(UNLEASED), State.PROCESSING)
    for age, name in enumerate(AGE_NAMES)
}
assert len(AGE_NAMES) == len(AGES) + 1  # noqa: S101  # two files, one list of ages


async def keep_measuring(ports: DispatcherPorts, stop: asyncio.Event) -> None:
    """A loop: every half a minute. One of its questions looks at every open row."""
    while not stop.is_set():
        try:
            await measure(ports)
        except LedgerAway:
            log.warning(LEDGER_AWAY)
        except Exception:  # a gauge that cannot be read must not end the dispatcher
            log.exception(MEASURING_FAILED)
        await runtime.sleep(stop, EVERY.total_seconds())


async def measure(ports: DispatcherPorts) -> None:
    """Set the gauges once. Raises LedgerAway."""
    overdue = await ports.ledger.measure_overdue()
    OLDEST_DUE.set(overdue.oldest_seconds)
    FORGOTTEN.set(overdue.forgotten)
    _show(await ports.ledger.measure_backlog())


def _show(backlog: Backlog) -> None:
    counted = {(group.state, group.age): group.requests for group in backlog.groups}
    for which, gauge in _GROUPS.items():
        gauge.set(counted.get(which, 0))
    WORKABLE.set(backlog.workable)
    LARGEST.set(backlog.largest_account)
    SIZE.set(backlog.size)


async def look_for_drift(ports: DispatcherPorts) -> None:
    """Compare every counter with the rows it counts. Raises LedgerAway."""
    drift = await ports.ledger.measure_drift()
    for counter, rows in (
        ("pending", drift.pending),
        ("slots", drift.slots),
        ("stray_bodies", drift.strays),
    ):
        DRIFT.labels(counter).set(rows)
        if rows:
            log.error(DRIFT_FOUND, kind=counter, drift=rows)
