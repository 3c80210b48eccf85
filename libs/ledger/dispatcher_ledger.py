"""The third hand on the ledger: the dispatcher's (the others are in ledger.py)."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from libs.ledger import (
    erase,
    expire,
    forget,
    orphans,
    pause,
    purge,
    rehint,
    release,
    roll_up,
    upkeep,
)
from libs.ledger.accept import Hint
from libs.ledger.connection import Database, Options, Plans
from libs.ledger.finish import Finished
from libs.ledger.ledger import WORK_TIMEOUT
from libs.ledger.orphans import CrashBackoff
from libs.ledger.retire import Retirement

CONNECTIONS: Final = 4
"""Of a dispatcher, at the most: half of them for plans that are made once."""


class DispatcherLedger:
    """Moves what time alone moves: slots, hints, leases, deadlines."""

    def __init__(self, url: str, *, backoff: CrashBackoff) -> None:
        options = Options(CONNECTIONS // 2, WORK_TIMEOUT)
        self.database = Database(url, options, name="dispatcher", plans=Plans.MADE_ONCE)
        self._scans = Database(url, options, name="dispatcher scans")
        self._retirement = Retirement(self._scans)
        self._backoff = backoff

    async def release(self) -> list[Hint]:
        """Give free slots to waiting requests."""
        return await self._scans.run(release.release)

    async def rehint(self) -> list[Hint]:
        """Hints that were not claimed in time."""
        return await self.database.run(rehint.rehint)

    async def make_all_due(self) -> None:
        """Look at every hint again."""
        await self._scans.run(rehint.make_all_due)

    async def close_orphans(self) -> list[Finished]:
        """Take the leases that ended."""
        return await self.database.run(
            lambda connection: orphans.close_orphans(connection, self._backoff)
        )

    async def expire(self) -> list[str]:
        """Fail what is past its deadline."""
        return await self.database.run(expire.expire)

    async def pause(self, project_id: str) -> int:
        """Give a project no more slots; answers how many were taken back."""
        return await pause.pause(self._scans, project_id)

    async def resume(self, project_id: str) -> int:
        """End a pause; every open request has a day from now at least."""
        return await pause.resume(self._scans, project_id)

    def erase_project(self, project_id: str) -> AsyncIterator[list[str]]:
        """Destroy the content of all its requests; yields what was cancelled, batch by batch."""
        return erase.erase_project(self._scans, project_id)

    async def ask_to_forget(self, account_id: str, project_ids: Sequence[str]) -> None:
        """Remember that nothing is to stay of these projects. Raises LedgerAway."""
        await self._scans.run(lambda connection: forget.ask(connection, account_id, project_ids))

    def forget_asked(self) -> AsyncIterator[list[str]]:
        """Remove all records of such projects, a bounded round of it; yields what was cancelled."""
        return forget.forget_asked(self._scans)

    async def purge(self) -> purge.Purged:
        """Remove what has expired."""
        return await purge.purge(self._scans, self._retirement)

    async def roll_up(self) -> roll_up.RolledUp:
        """Count what has ended."""
        return await roll_up.roll_up(self._scans)

    async def forget_old_rollups(self) -> int:
        """Remove what was counted 400 days ago."""
        return await roll_up.forget_old(self._scans)

    async def make_partitions(self) -> int:
        """Create missing body partitions."""
        return await self._scans.run(upkeep.make_partitions)

    async def measure_drift(self) -> upkeep.Drift:
        """Counters against rows."""
        return await self._scans.run(upkeep.measure_drift)

    async def measure_overdue(self) -> upkeep.Overdue:
        """The oldest due row."""
        return await self._scans.run(upkeep.measure_overdue)

    async def measure_backlog(self) -> upkeep.Backlog:
        """What is open."""
        return await self._scans.run(upkeep.measure_backlog)

    async def close(self) -> None:
        """Close all connections."""
        await self.database.close()
        await self._scans.close()
