"""What the databases say, read as their superuser: what is open, what ended, what was counted."""

import asyncio

import asyncpg
import msgspec

_LIVE = "SELECT count(*) FROM live"
_COMPLETED = "SELECT count(*) FROM results WHERE state = 'completed'"
_BILLED = "SELECT count(*) FROM usage_records"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """All requests of a run. Nothing was lost when accepted = completed = billed, the rest 0."""

    accepted: int
    completed: int
    failed: int
    live: int
    repeated: int
    billed: int


class LedgerView:
    """Kept connections, so that a look costs next to nothing. Blocking: this is a script."""

    def __init__(self, requests_url: str, billing_url: str) -> None:
        """The superuser's addresses of the two databases."""
        self._runner = asyncio.Runner()
        self._requests = self._runner.run(asyncpg.connect(requests_url))
        self._billing = self._runner.run(asyncpg.connect(billing_url))

    def live(self) -> int:
        """Open requests."""
        return self._number(self._requests, _LIVE)

    def is_settled(self) -> bool:
        """Whether nothing is open and billing has counted all that ended."""
        completed = self._number(self._requests, _COMPLETED)
        return self.live() == 0 and self._number(self._billing, _BILLED) >= completed

    def account(self) -> Account:
        """Of everything since the start."""
        ask = self._requests
        return Account(
            accepted=self._number(ask, "SELECT count(*) FROM requests"),
            completed=self._number(ask, _COMPLETED),
            failed=self._number(ask, "SELECT count(*) FROM results WHERE state <> 'completed'"),
            live=self._number(ask, _LIVE),
            repeated=self._number(ask, "SELECT count(*) FROM attempts WHERE number > 1"),
            billed=self._number(self._billing, _BILLED),
        )

    def close(self) -> None:
        """Give the connections back."""
        for connection in (self._requests, self._billing):
            self._runner.run(connection.close())
        self._runner.close()

    def _number(self, connection: "asyncpg.Connection[asyncpg.Record]", sql: str) -> int:
        return int(self._runner.run(connection.fetchval(sql)))
