"""The worker: hints in, attempts under way, leases kept; and an end that loses nothing."""

import asyncio
from typing import Final

from libs.common import logs
from services.executor.ports import WorkerPorts
from services.executor.use_cases.hints import sources, take_hints
from services.executor.use_cases.leases import keep_leases
from services.executor.use_cases.running import Floor

log = logs.get(__name__)

CALLS_ABANDONED: Final = "calls_abandoned"


async def work(ports: WorkerPorts, stop: asyncio.Event) -> None:
    """Run until `stop`, then finish what is under way, for `grace` at the most.

    Leases are kept to the very end. What is cut then was sent, so its lease runs out, and the
    dispatcher records the attempt as ambiguous.
    """
    floor = Floor(ports.places)
    drained = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_leases(ports, floor, drained))
        async with asyncio.TaskGroup() as takers:
            for source in sources(ports):
                takers.create_task(take_hints(ports, floor, source, stop))
        try:
            async with asyncio.timeout(ports.grace.total_seconds()):
                await floor.drained()
        except TimeoutError:
            log.warning(CALLS_ABANDONED, count=len(floor))
        drained.set()
