"""One process: loops that run until a signal, and an exit code that says how it went."""

import asyncio
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop

from libs.common import logs
from libs.common.settings import SettingsError

log = logs.get(__name__)

PROCESS_STARTED: Final = "process_started"
PROCESS_STOPPING: Final = "process_stopping"
PROCESS_STOPPED: Final = "process_stopped"
LOOP_DIED: Final = "loop_died"
PROCESS_FAILED: Final = "process_failed"

FILES: Final = 65_536
"""Open files, and so connections, that a process asks for; it gets what the system allows."""

END_SECONDS: Final = 10.0
"""How long a process may take to end after one of its loops died."""

# Set by `start`: a test that calls `run` keeps its own process.
_is_whole_process: Final = threading.Event()

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then finishes what it has in hand and returns."""


class LoopEnded(Exception):
    """A loop returned although nobody asked it to stop."""


async def run(*loops: Loop) -> None:
    """Run all loops until SIGTERM or SIGINT. If one dies, the others are cancelled and this raises.

    A second signal shortens nothing: the supervisor's SIGKILL does that, and is safe at any
    instruction.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _ask_to_stop, stop, number.name)
    # What start-up built lives as long as the process: keep the collector from walking it.
    gc.collect()
    gc.freeze()
    log.info(PROCESS_STARTED)
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(_watch(loop, stop))
    log.info(PROCESS_STOPPED)


def start(main: Callable[[], Awaitable[None]]) -> int:
    """Run `main` on uvloop; the process's exit code."""

    async def call() -> None:
        await main()

    _is_whole_process.set()
    _ask_for_files()
    try:
        uvloop.run(call())
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the operator's first look, before any log
        return 2
    except Exception:
        log.exception(PROCESS_FAILED)
        return 1
    return 0


def _ask_for_files() -> None:
    """Containers often begin with 1024, where a gateway serves twenty thousand callers.

    What a process may ask for is the hard limit; the soft one is for programs that use select().
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _ask_to_stop(stop: asyncio.Event, signal_name: str) -> None:
    log.info(PROCESS_STOPPING, signal=signal_name)
    stop.set()


async def _watch(loop: Loop, stop: asyncio.Event) -> None:
    try:
        await loop(stop)
        if not stop.is_set():
            raise LoopEnded(getattr(loop, "__qualname__", repr(loop)))  # noqa: TRY301
    except Exception:
        log.exception(LOOP_DIED)
        _end_soon()
        raise


def _end_soon() -> None:
    """The process must end now, even if something does not let itself be cancelled."""
    if not _is_whole_process.is_set():
        return
    killer = threading.Timer(END_SECONDS, os._exit, (1,))
    killer.daemon = True
    killer.start()


async def sleep(stop: asyncio.Event, seconds: float) -> bool:
    """Pause, but not past the moment `stop` is set. True when it is time to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
