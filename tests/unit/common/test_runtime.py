import asyncio
import os
import signal

import pytest

from libs.common import runtime


async def test_a_signal_stops_every_loop() -> None:
    ended: list[str] = []

    async def loop(stop: asyncio.Event) -> None:
        await stop.wait()
        ended.append("loop")

    running = asyncio.create_task(runtime.run(loop, loop))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        await running

    assert ended == ["loop", "loop"]


async def test_a_loop_that_dies_takes_the_process_with_it() -> None:
    was_cancelled = False

    async def dies(_: asyncio.Event) -> None:
        raise ConnectionError

    async def lives(stop: asyncio.Event) -> None:
        nonlocal was_cancelled
        try:
            await stop.wait()
        except asyncio.CancelledError:
            was_cancelled = True
            raise

    with pytest.raises(ExceptionGroup):
        await runtime.run(lives, dies)

    assert was_cancelled


async def test_a_loop_that_just_ends_is_a_fault() -> None:
    async def ends(_: asyncio.Event) -> None:
        return

    with pytest.raises(ExceptionGroup) as group:
        await runtime.run(ends)

    assert isinstance(group.value.exceptions[0], runtime.LoopEnded)


async def test_a_sleep_ends_when_it_is_time_to_stop() -> None:
    stop = asyncio.Event()
    assert not await runtime.sleep(stop, 0.001)
    stop.set()
    assert await runtime.sleep(stop, 3600)
