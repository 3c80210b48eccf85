"""The fourth hand on the ledger: the operator's. It only reads, and no content."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from libs.ledger import over, search, upkeep
from libs.ledger.connection import Connection, Database, Options
from libs.ledger.search import Found, Wanted
from libs.ledger.show import Shown, show
from libs.ledger.states import State

TIMEOUT: Final = timedelta(seconds=30)
"""Somebody watches, and may look for something rare."""

_OWNER: Final = "SELECT project_id FROM requests WHERE id = $1"

_LEASES: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS t)
SELECT count(*) AS held,
    count(*) FILTER (WHERE lease_until < (SELECT t FROM clock)) AS ended,
    coalesce(extract(epoch FROM (SELECT t FROM clock) - min(lease_until)), 0)::float8 AS oldest
FROM live WHERE state = 'processing'
"""


class Leases(msgspec.Struct, frozen=True):
    """Leases now, and those that ended without anybody taking them; the oldest by how long."""

    held: int
    ended: int
    oldest_seconds: float


class OperatorLedger:
    """Looks. Everything raises LedgerAway, LedgerFailed."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, Options(2, TIMEOUT), name="operator")

    async def search(self, wanted: Wanted) -> list[Found]:
        """A page of requests, newest first."""
        return await self.database.run(lambda connection: search.search(connection, wanted))

    async def find(self, request_id: str) -> Found | None:
        """One request, without its timeline."""
        return await self.database.run(lambda connection: search.find(connection, request_id))

    async def list_ended(self, ids: Sequence[str]) -> dict[str, State]:
        """Of these, those that have ended, and how."""
        return await self.database.run(lambda connection: search.list_ended(connection, ids))

    async def count_open(self, ids: Sequence[str]) -> dict[State, int]:
        """Of these, the open ones by state."""
        return await self.database.run(lambda connection: search.count_open(connection, ids))

    async def show(self, request_id: str) -> tuple[str, Shown] | None:
        """One request with its timeline, and its project."""
        return await self.database.run(lambda connection: _show(connection, request_id))

    async def measure_leases(self) -> Leases:
        """How leases stand."""
        return await self.database.run(read_leases)

    async def measure_drift(self) -> upkeep.Drift:
        """Counters against rows."""
        return await self.database.run(upkeep.measure_drift)

    async def measure_overdue(self) -> upkeep.Overdue:
        """The oldest due row."""
        return await self.database.run(upkeep.measure_overdue)

    async def measure_backlog(self) -> upkeep.Backlog:
        """What is open."""
        return await self.database.run(upkeep.measure_backlog)

    async def count_over(self) -> dict[str, int]:
        """Rows whose time is over, by table."""
        return await self.database.run(over.count_over)

    async def close(self) -> None:
        """Close all connections."""
        await self.database.close()


async def read_leases(connection: Connection) -> Leases:
    """How leases stand, by the database's clock."""
    [row] = await connection.fetch(_LEASES)
    return Leases(row["held"], row["ended"], max(row["oldest"], 0.0))


async def _show(connection: Connection, request_id: str) -> tuple[str, Shown] | None:
    project_id = await connection.fetchval(_OWNER, request_id)
    if project_id is None:
        return None
    shown = await show(connection, project_id, request_id)
    return None if shown is None else (project_id, shown)
