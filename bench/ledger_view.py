"""What the request ledger says, read as its superuser: what is open, and how the rest ended."""

import asyncio

import asyncpg
import msgspec


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """All requests of a run. Nothing was lost when accepted = completed and the rest is 0."""

    accepted: int
    completed: int
    failed: int
    live: int
    repeated: int


class LedgerView:
    """One connection, kept, so that a look costs next to nothing. Blocking: this is a script."""

    def __init__(self, url: str) -> None:
        """`url`: the superuser's, of database `requests`."""
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(url))

    def live(self) -> int:
        """Open requests."""
        return int(self._row("SELECT count(*) FROM live")[0])

    def account(self) -> Account:
        """Of everything since the start."""
        accepted, completed, failed, live, repeated = self._row(
            "SELECT (SELECT count(*) FROM requests),"
            " (SELECT count(*) FROM results WHERE state = 'completed'),"
            " (SELECT count(*) FROM results WHERE state <> 'completed'),"
            " (SELECT count(*) FROM live), (SELECT count(*) FROM attempts WHERE number > 1)"
        )
        return Account(
            accepted=accepted, completed=completed, failed=failed, live=live, repeated=repeated
        )

    def close(self) -> None:
        """Give the connection back."""
        self._runner.run(self._connection.close())
        self._runner.close()

    def _row(self, sql: str) -> asyncpg.Record:
        row = self._runner.run(self._connection.fetchrow(sql))
        if row is None:
            raise LookupError("an aggregate without a row")
        return row
