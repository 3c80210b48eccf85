"""Processes that are asked to stop, and a second one where there is usually one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from deploy.local.processes import PROCESSES
from deploy.local.programs import Running
from tests.support.stack import System
from tests.support.waiting import until

STOP_SECONDS: Final = 30.0


async def ask_to_stop(system: System, name: str) -> None:
    """SIGTERM; returns once it has ended by itself, and without a failure."""
    system.process(name).ask_to_stop()
    await until(lambda: system.exit_code(name) is not None, STOP_SECONDS)
    assert system.exit_code(name) == 0, name


@asynccontextmanager
async def another(system: System, name: str) -> AsyncIterator[str]:
    """One more of a process that the system has; its name."""
    [kind] = [process for process in PROCESSES if process.name == name]
    kind = msgspec.structs.replace(kind, name=f"{name}-more")
    site = system.stack.site
    process = Running(site.marked(site.program(kind)))
    process.start()
    try:
        await until(lambda: asyncio.to_thread(system.stack.is_ready, kind.name), STOP_SECONDS)
        yield kind.name
    finally:
        await asyncio.to_thread(process.stop)
