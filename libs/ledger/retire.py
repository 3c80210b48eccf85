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
PAGE: Final = 200  # counters: a project has one a mode
PAGES: Final = 4  # a round, and those that were not finished in the one before

_Place = tuple[str, str]
_START: Final[_Place] = ("", "")

_PROJECTS: Final = """
SELECT c.project_id, c.mode,
    clock_timestamp() - make_interval(secs => c.metadata_seconds) AS kept_since
FROM project_counters c WHERE (c.project_id, c.mode) > ($1, $2)
ORDER BY c.project_id, c.mode LIMIT $3
"""

_RETIRE: Final = "SELECT retire_requests_v1($1, $2, $3, $4)"


class Retirement:
    """Goes through all projects, a few pages a round, and again through those with more to do.

    Who looks at all of them each minute looks in vain most of the time (10,000 projects: 300,000
    buffers); a record that goes some minutes late goes early enough. A dispatcher that starts anew
    begins anew.
    """

    def __init__(self, database: Database) -> None:
        """Nothing was looked at so far."""
        self._database, self._last = database, _START
        self._unfinished: list[_Place] = []

    async def go_on(self) -> int:
        """One round; how many requests went. Raises LedgerAway."""
        again, self._unfinished = self._unfinished, []
        gone = 0
        for place in again:
            gone += (await self._page(place))[0]
        for _ in range(PAGES):
            some, last = await self._page(self._last)
            gone += some
            self._last = last or _START
            if last is None:
                break
        return gone

    async def _page(self, after: _Place) -> tuple[int, _Place | None]:
        """How many went, and where the page ends; None at the end of all."""
        page = await self._database.run(partial(_next_page, after=after))
        if not page:
            return 0, None
        gone = 0
        for _ in range(ROUNDS):
            some = await self._database.run(partial(_retire, page=page))
            gone += some
            if some < LIMIT:
                break
        else:
            self._unfinished.append(after)
        is_last = len(page) < PAGE
        return gone, None if is_last else (page[-1]["project_id"], page[-1]["mode"])


async def _next_page(connection: Connection, after: _Place) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(_PROJECTS, *after, PAGE)
    return rows


async def _retire(connection: Connection, page: list[asyncpg.Record]) -> int:
    """One batch, of whichever of these projects."""
    bounds = [lowest_id("rr", row["kept_since"]) for row in page]
    projects, modes = [row["project_id"] for row in page], [row["mode"] for row in page]
    gone: int = await connection.fetchval(_RETIRE, projects, modes, bounds, LIMIT)
    return gone
