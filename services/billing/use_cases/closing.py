"""The worker's upkeep: usage of deleted accounts becomes sums, usage past the law's time goes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from prometheus_client import Counter

from libs.common import logs, retention, runtime
from services.billing.ports import Ports
from services.billing.repositories.usage import UsageRepository

log = logs.get(__name__)

UPKEEP_FAILED: Final = "billing_upkeep_failed"

EVERY: Final = timedelta(minutes=10)
SETTLED: Final = timedelta(days=1)
"""A request's end may be told twice within an hour (libs/common/outbox.py), and a record tells."""

BATCH: Final = 1_000
ROUNDS: Final = 100

SUMMED: Final = Counter("reqrun_usage_summed_total", "Records of deleted accounts made into sums")
DROPPED: Final = Counter("reqrun_usage_dropped_total", "Records whose time was over")


async def keep_up(ports: Ports, stop: asyncio.Event) -> None:
    """Every ten minutes. Any number of workers may."""
    while not stop.is_set():
        try:
            await sum_up(ports)
            await drop_old(ports)
        except Exception:  # it is tried again in ten minutes
            log.exception(UPKEEP_FAILED)
        await runtime.sleep(stop, EVERY.total_seconds())


async def sum_up(ports: Ports) -> int:
    """Of accounts whose deletion was heard of a day ago; bounded. How many records went."""
    before = ports.clock.now() - SETTLED
    await _in_batches(ports, lambda usage: usage.sum_up_closed(before, BATCH))
    total = await _in_batches(ports, lambda usage: usage.drop_closed(before, BATCH))
    SUMMED.inc(total)
    return total


async def drop_old(ports: Ports) -> int:
    """Of months that ended more than ten years ago; bounded. How many records."""
    before = (ports.clock.now() - retention.USAGE).date()
    total = await _in_batches(ports, lambda usage: usage.drop_old(before, BATCH))
    DROPPED.inc(total)
    return total


async def _in_batches(ports: Ports, take: Callable[[UsageRepository], Awaitable[int]]) -> int:
    total = 0
    for _ in range(ROUNDS):
        async with ports.db.transaction() as tx:
            some = await take(UsageRepository(tx))
        total += some
        if some < BATCH:
            break
    return total
