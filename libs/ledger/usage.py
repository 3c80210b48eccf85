"""Usage: what the ledger says of live requests, for billing's books to be compared with.

Pages of ids, each read in one statement: what it says of a request is true at one instant. A page
costs the same however large the tables are. Projects that are being erased are left out.
"""

from datetime import date, datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from libs.common.ids import lowest_id
from libs.ledger.connection import Connection, Database

PREFIX: Final = "rr"

SLACK: Final = timedelta(minutes=10)
"""An id is made by the gateway's clock before it is accepted by the database's."""

_PAGE: Final = """
WITH page AS MATERIALIZED (
    SELECT r.id, r.account_id, r.project_id, r.mode, r.endpoint, r.model, r.created_at
    FROM requests r WHERE r.id > $1 AND r.id < $2 ORDER BY r.id LIMIT $3
), item AS MATERIALIZED (
    SELECT p.* FROM page p
    WHERE p.mode = 'live' AND p.created_at >= $4 AND p.created_at < $5
        AND NOT EXISTS (SELECT FROM erasures e WHERE e.project_id = p.project_id OFFSET 0)
)
"""

_TALLY: Final = (
    _PAGE
    + """
, tally AS (
    SELECT p.account_id, (p.created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS accepted,
        count(*) FILTER (WHERE f.state = 'completed') AS completed,
        count(*) FILTER (WHERE f.state = 'failed') AS failed,
        count(*) FILTER (WHERE f.state = 'cancelled') AS cancelled,
        count(l.id) AS open,
        coalesce(sum(f.prompt_tokens), 0)::bigint AS prompt_tokens,
        coalesce(sum(f.completion_tokens), 0)::bigint AS completion_tokens,
        coalesce(sum(f.total_tokens), 0)::bigint AS total_tokens
    FROM item p
    LEFT JOIN LATERAL (SELECT * FROM results r WHERE r.request_id = p.id OFFSET 0) f ON true
    LEFT JOIN LATERAL (SELECT o.id FROM live o WHERE o.id = p.id OFFSET 0) l ON true
    GROUP BY 1, 2
)
SELECT (SELECT count(*) FROM page) AS seen, (SELECT max(id) FROM page) AS last, t.*
FROM (SELECT) one LEFT JOIN tally t ON true
ORDER BY t.account_id, t.day
"""
)

_ENDED: Final = (
    _PAGE
    + """
, ended AS (
    SELECT p.*, f.state, f.attempts, f.finished_at, f.prompt_tokens, f.completion_tokens,
        f.total_tokens
    FROM item p
    CROSS JOIN LATERAL (SELECT * FROM results r WHERE r.request_id = p.id OFFSET 0) f
    WHERE p.account_id = ANY($6)
)
SELECT (SELECT count(*) FROM page) AS seen, (SELECT max(id) FROM page) AS last, e.*
FROM (SELECT) one LEFT JOIN ended e ON true
ORDER BY e.id
"""
)


class UsageRange(msgspec.Struct, frozen=True, kw_only=True):
    """Requests accepted from `low` (included) to `high` (not), with greater ids than `after`.

    `limit`: how many requests are looked at, live or not.
    """

    low: datetime
    high: datetime
    after: str | None
    limit: int


class DayTally(msgspec.Struct, frozen=True, kw_only=True):
    """Of one page: live requests of an account, by the day (UTC) of their acceptance."""

    account_id: str
    day: date
    accepted: int
    completed: int
    failed: int
    cancelled: int
    open: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class EndedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A final live request. No content."""

    id: str
    account_id: str
    project_id: str
    endpoint: str
    model: str
    created_at: datetime
    state: str
    attempts: int
    finished_at: datetime
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TallyPage(msgspec.Struct, frozen=True):
    """`last`: ask with it for the next page; None on the last one."""

    tallies: list[DayTally]
    last: str | None


class EndedPage(msgspec.Struct, frozen=True):
    """`last`: see TallyPage."""

    requests: list[EndedRequest]
    last: str | None


class UsageReader:
    """Asks one question after the other. Everything raises LedgerAway."""

    def __init__(self, database: Database) -> None:
        """Nothing is connected yet."""
        self._database = database

    async def tally(self, of: UsageRange) -> TallyPage:
        """What one page of requests adds up to."""
        return await self._database.run(lambda connection: tally_usage(connection, of))

    async def list_ended(self, of: UsageRange, account_ids: list[str]) -> EndedPage:
        """The final ones of these accounts in one page of requests."""
        return await self._database.run(lambda connection: list_ended(connection, of, account_ids))

    async def list_erasing(self) -> list[str]:
        """Accounts whose projects are being erased."""
        return await self._database.run(list_erasing)


async def tally_usage(connection: Connection, of: UsageRange) -> TallyPage:
    """What one page of requests adds up to."""
    rows = await connection.fetch(_TALLY, *_bounds(of))
    names = DayTally.__struct_fields__
    tallies = [DayTally(**{name: row[name] for name in names}) for row in rows if row["account_id"]]
    return TallyPage(tallies, _last(rows, of))


async def list_ended(connection: Connection, of: UsageRange, account_ids: list[str]) -> EndedPage:
    """The final ones of these accounts in one page of requests."""
    rows = await connection.fetch(_ENDED, *_bounds(of), account_ids)
    names = EndedRequest.__struct_fields__
    ended = [EndedRequest(**{name: row[name] for name in names}) for row in rows if row["id"]]
    return EndedPage(ended, _last(rows, of))


async def list_erasing(connection: Connection) -> list[str]:
    """Accounts whose projects are being erased."""
    rows = await connection.fetch("SELECT DISTINCT account_id FROM erasures ORDER BY 1")
    return [row["account_id"] for row in rows]


def _bounds(of: UsageRange) -> list[object]:
    low, high = lowest_id(PREFIX, of.low - SLACK), lowest_id(PREFIX, of.high + SLACK)
    return [max(of.after or "", low), high, of.limit, of.low, of.high]


def _last(rows: list[asyncpg.Record], of: UsageRange) -> str | None:
    return rows[0]["last"] if rows[0]["seen"] == of.limit else None
