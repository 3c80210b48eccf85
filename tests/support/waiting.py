"""Waiting for what must come true, with a deadline instead of a sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

_LOOK_SECONDS = 0.01


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 30) -> None:
    """Return once `condition` holds; AssertionError when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        await asyncio.sleep(_LOOK_SECONDS)
