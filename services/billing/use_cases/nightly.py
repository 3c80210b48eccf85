"""What one worker does each night, and another one where that one did not end it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from typing import Final

import msgspec
from prometheus_client import Gauge

from libs.common import logs, runtime
from services.billing.ports import Ports
from services.billing.repositories.nights import NightRepository

log = logs.get(__name__)

LATE: Final = Gauge(
    "reqrun_night_late_seconds",
    "How long a nightly comparison should have ended; 0 once it has",
    ["night"],
)

EVERY: Final = timedelta(minutes=1)
STALE: Final = timedelta(hours=2)
AGAIN: Final = timedelta(minutes=10)
STAY_EVERY: Final = timedelta(minutes=10)


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """`hour`: when it is time (UTC). `can`: whether there is anybody to ask.

    `work`: how many differences it found and left; again it does no harm. `drift`: shows them, in
    every worker. `failed`: what is logged where it did not work.
    """

    name: str
    hour: int
    can: Callable[[Ports], bool]
    work: Callable[[Ports], Awaitable[int]]
    drift: Gauge
    failed: str


async def keep(night: Night, ports: Ports, stop: asyncio.Event) -> None:
    """A loop, of every worker: one of them works."""
    while not stop.is_set():
        try:
            await show(night, ports)
            await work(night, ports)
            await show(night, ports)
        except Exception:  # it is tried again in ten minutes
            log.exception(night.failed)
        await runtime.sleep(stop, EVERY.total_seconds())


async def work(night: Night, ports: Ports) -> bool:
    """Whether it was time, and ours to do. Raises what `night.work` does."""
    now = ports.clock.now()
    if now.hour < night.hour or not night.can(ports):
        return False
    async with ports.db.transaction() as tx:
        nights = NightRepository(tx)
        is_ours = await nights.take(night.name, now.date(), now=now, stale=now - STALE)
    if not is_ours:
        return False
    staying = asyncio.create_task(_stay(night, ports))
    try:
        left = await night.work(ports)
    except BaseException:
        staying.cancel()
        async with ports.db.transaction() as tx:
            await NightRepository(tx).go_on(night.name, at=ports.clock.now() - STALE + AGAIN)
        raise
    staying.cancel()
    async with ports.db.transaction() as tx:
        await NightRepository(tx).end(night.name, drift=left, now=ports.clock.now())
    return True


async def _stay(night: Night, ports: Ports) -> None:
    """Until cancelled: however long the work takes, nobody takes it for left."""
    while True:
        await asyncio.sleep(STAY_EVERY.total_seconds())
        try:
            async with ports.db.transaction() as tx:
                await NightRepository(tx).go_on(night.name, at=ports.clock.now())
        except Exception:  # the next time comes long before it is stale
            log.exception(night.failed)


async def show(night: Night, ports: Ports) -> None:
    """What the last one left, and how late this one is: what was not compared agrees with all."""
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        nights = NightRepository(tx)
        night.drift.set(await nights.drift(night.name))
        is_done = await nights.is_done(night.name, now.date())
    begins_at = datetime.combine(now.date(), time(night.hour), UTC)
    is_late = night.can(ports) and not is_done and now > begins_at
    LATE.labels(night.name).set((now - begins_at).total_seconds() if is_late else 0)
