"""Waiting for the last answers, but not for ever."""

import asyncio
import time
from collections.abc import Callable

_SECONDS = 60.0
_LOOK_SECONDS = 0.005


async def until(under_way: Callable[[], int]) -> int:
    """Wait until nothing is under way; how much still was after a minute."""
    deadline = time.monotonic() + _SECONDS
    # An event would cost the loads a look at every answer.
    while under_way() and time.monotonic() < deadline:  # noqa: ASYNC110  as above
        await asyncio.sleep(_LOOK_SECONDS)
    return under_way()
