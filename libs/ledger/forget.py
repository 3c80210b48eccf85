"""Forget: nothing stays of the projects of an account that was deleted.

Which projects those are is written down first, and each stays written down until nothing of it is
left: so it may be broken off at any time, and asked for any number of times. What runs is ended
and what it holds is destroyed as when a project is erased; then the records go, batch by batch.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import asyncpg

from libs.ledger import roll_up
from libs.ledger.connection import LEDGER_TROUBLE, Connection, Database
from libs.ledger.erase import erase_project
from libs.ledger.pause import MODES

LIMIT: Final = 500
"""Requests a transaction."""

ROUNDS: Final = 200  # of such, for each project and mode, until it is another one's turn
PAGE: Final = 50  # projects read at once

_ASK: Final = """
INSERT INTO erasures (project_id, account_id)
SELECT u.id, $2 FROM unnest($1::text[]) AS u (id) ORDER BY u.id
ON CONFLICT DO NOTHING
"""

_ASKED: Final = """
SELECT project_id, asked_at FROM erasures
WHERE (asked_at, project_id) > ($1, $2) ORDER BY asked_at, project_id LIMIT $3
"""
_START: Final = (datetime(1, 1, 1, tzinfo=UTC), "")


async def ask(connection: Connection, account_id: str, project_ids: Sequence[str]) -> None:
    """Write down that these projects of the account are to be forgotten."""
    await connection.execute(_ASK, project_ids, account_id)


async def forget_asked(database: Database) -> AsyncIterator[list[str]]:
    """One round through all of them, so much of each; yields what was cancelled.

    Raises LedgerAway or LedgerFailed at its end where one could not: it stops no other.
    """
    failure = None
    async for project_id in _all_asked(database):
        try:
            async for cancelled in _forget_project(database, project_id):
                yield cancelled
        except LEDGER_TROUBLE as trouble:
            failure = trouble
    if failure is not None:
        raise failure


async def _all_asked(database: Database) -> AsyncIterator[str]:
    after = _START
    while page := await database.run(partial(_asked, after=after)):
        for row in page:
            yield row["project_id"]
        after = page[-1]["asked_at"], page[-1]["project_id"]


async def _forget_project(database: Database, project_id: str) -> AsyncIterator[list[str]]:
    async for cancelled in erase_project(database, project_id):
        yield cancelled
    for mode in MODES:
        await _repeat(database, partial(_forget_some, of=(project_id, mode)))
    await roll_up.forget_project(database, project_id)
    await database.run(partial(_end, project_id=project_id))


async def _asked(connection: Connection, after: tuple[datetime, str]) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(_ASKED, *after, PAGE)
    return rows


async def _repeat(database: Database, work: Callable[[Connection], Awaitable[int]]) -> None:
    for _ in range(ROUNDS):
        if not await database.run(work):
            break


async def _forget_some(connection: Connection, of: tuple[str, str]) -> int:
    gone: int = await connection.fetchval("SELECT forget_requests_v1($1, $2, $3)", *of, LIMIT)
    return gone


async def _end(connection: Connection, project_id: str) -> None:
    """Unless something is left, or may yet come: then it stays written down."""
    await connection.execute("SELECT end_erasure_v1($1)", project_id)
