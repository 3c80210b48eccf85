"""What a statement costs, in shared buffers: a measure that does not depend on the machine."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncpg

from libs.ledger.connection import Connection

# Buffers with many rows beside, against few: a deeper index is allowed, a scan is not.
MOST = 1.6
SPARE = 16  # pages; an empty poll touches so few that a ratio says nothing

# As the connections of libs/ledger/connection.py plan.
MADE_ONCE = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"
MADE_EACH_TIME = "SET plan_cache_mode = force_custom_plan; SET enable_seqscan = on"

Work = Callable[[Connection], Awaitable[Any]]


def grown(few: Mapping[str, int], many: Mapping[str, int]) -> set[str]:
    """What costs more beside many rows than a deeper index explains."""
    return {name for name in many if many[name] > MOST * few[name] + SPARE}


async def buffers(sql: "asyncpg.Connection[asyncpg.Record]", work: Work) -> int:
    """Shared buffers that `work` touches on its connection."""
    before = await _touched(sql)
    await work(sql)
    return await _touched(sql) - before


async def _touched(sql: "asyncpg.Connection[asyncpg.Record]") -> int:
    """Of all tables, every day's partition among them."""
    await sql.execute("SELECT pg_stat_force_next_flush()")
    value: int = await sql.fetchval(
        """
        SELECT sum(heap_blks_hit + heap_blks_read
            + coalesce(idx_blks_hit + idx_blks_read, 0)
            + coalesce(toast_blks_hit + toast_blks_read, 0)
            + coalesce(tidx_blks_hit + tidx_blks_read, 0))::bigint
        FROM pg_statio_user_tables
        """
    )
    return value
