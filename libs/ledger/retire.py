"""Retire: records of requests whose time is over go (decision 0016).

A project's window is what its account was allowed when it last submitted. Bodies and idempotency
keys, which lead to a record, have their own windows and go first.
"""

from functools import partial
from typing import Final

import asyncpg

from libs.common.ids import lowest_id
from libs.ledger.connection import Connection, Database

LIMIT: Final = 500
"""Requests a transaction."""

ROUNDS: Final = 100  # of such a round, for each page of projects
PAGE: Final = 200  # projects

_PROJECTS: Final = """
SELECT c.project_id, c.mode,
    clock_timestamp() - make_interval(secs => c.metadata_seconds) AS kept_since
FROM project_counters c WHERE (c.project_id, c.mode) > ($1, $2)
ORDER BY c.project_id, c.mode LIMIT $3
"""

_RETIRE: Final = "SELECT retire_requests_v1($1, $2, $3, $4)"


async def retire(database: Database) -> int:
    """Go through all projects once; how many requests went. Raises LedgerAway."""
    gone, last = 0, ("", "")
    while page := await database.run(partial(_next_page, after=last)):
        for _ in range(ROUNDS):
            some = await database.run(partial(_retire, page=page))
            gone += some
            if some < LIMIT:
                break
        last = page[-1]["project_id"], page[-1]["mode"]
    return gone


async def _next_page(connection: Connection, after: tuple[str, str]) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(_PROJECTS, *after, PAGE)
    return rows


async def _retire(connection: Connection, page: list[asyncpg.Record]) -> int:
    """One batch, of whichever of these projects."""
    bounds = [lowest_id("rr", row["kept_since"]) for row in page]
    projects, modes = [row["project_id"] for row in page], [row["mode"] for row in page]
    gone: int = await connection.fetchval(_RETIRE, projects, modes, bounds, LIMIT)
    return gone
