"""Two transactions at once, in an order that the test decides: no sleeps, no luck."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from tests.support.waiting import until

Answer = TypeVar("Answer")

_BLOCKED = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
"""


@asynccontextmanager
async def under_way(url: str) -> AsyncIterator[Any]:
    """A connection in a transaction that commits at the end of the block, not before."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def begin_and_wait(
    verb: Awaitable[Answer], eyes: "asyncpg.Connection[asyncpg.Record]"
) -> "asyncio.Task[Answer]":
    """Start `verb`; returns once it waits for a lock that somebody holds."""
    task = asyncio.ensure_future(verb)

    async def is_blocked() -> bool:
        return task.done() or bool(await eyes.fetchval(_BLOCKED))

    await until(is_blocked)
    assert not task.done(), "it did not have to wait"
    return task
