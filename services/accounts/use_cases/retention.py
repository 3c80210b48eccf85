"""The worker's upkeep: deletions that are due are carried out, rows whose time is over go."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

from prometheus_client import Counter

from libs.common import logs, runtime
from services.accounts.ports import Ports
from services.accounts.repositories.retention import BATCH, SWEEPS, RetentionRepository, Sweep
from services.accounts.use_cases import deletion

log = logs.get(__name__)

UPKEEP_FAILED: Final = "accounts_upkeep_failed"

EVERY: Final = timedelta(minutes=1)
ROUNDS: Final = 100  # batches of each table a sweep

SWEPT: Final = Counter("reqrun_accounts_swept_total", "Rows whose time was over", ["what"])
ERASED: Final = Counter("reqrun_accounts_erased_total", "Accounts that were deleted for good")


async def keep_up(ports: Ports, stop: asyncio.Event) -> None:
    """Every minute. Any number of workers may."""
    while not stop.is_set():
        for step in (deletion_step, sweep):
            try:
                await step(ports)
            except Exception:  # it is tried again in a minute
                log.exception(UPKEEP_FAILED, kind=step.__name__)
        await runtime.sleep(stop, EVERY.total_seconds())


async def deletion_step(ports: Ports) -> None:
    """Carry out what is due."""
    ERASED.inc(await deletion.carry_out_due(ports))


async def sweep(ports: Ports) -> dict[str, int]:
    """Remove what is over, bounded; how many rows of each table."""
    swept = {one.table.__tablename__: await _repeat(partial(_sweep, ports, one)) for one in SWEEPS}
    swept["audit_events"] = await _repeat(partial(_drop_audit_events, ports))
    for what, count in swept.items():
        SWEPT.labels(what).inc(count)
    return swept


async def count_over(ports: Ports) -> dict[str, int]:
    """How many rows of each table are past their window, and still there."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        rows = RetentionRepository(tx)
        over = {one.table.__tablename__: await rows.count(one, now) for one in SWEEPS}
        return {**over, "audit_events": await rows.count_audit_events(now)}


async def _repeat(work: Callable[[], Awaitable[int]]) -> int:
    total = 0
    for _ in range(ROUNDS):
        gone = await work()
        total += gone
        if gone < BATCH:
            break
    return total


async def _sweep(ports: Ports, one: Sweep) -> int:
    async with ports.db.transaction() as tx:
        return await RetentionRepository(tx).sweep(one, ports.clock.now())


async def _drop_audit_events(ports: Ports) -> int:
    async with ports.db.transaction() as tx:
        return await RetentionRepository(tx).drop_audit_events(ports.clock.now())
