"""Time that passes faster for content: retention and partitions turn over in minutes, not months.

Every minute some ended requests are aged, as if their retention had ended on a day long past, and
the last partitions are taken away, as if that day were new. The dispatcher then drops the one and
makes the other, as it does every night. Nothing else is touched: it purges and makes by its own
clock.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import asyncpg
import msgspec

from libs.ledger.upkeep import PARTITION_DAYS

_AGED_AT_ONCE = 5_000
_PARENTS = ("bodies", "body_keys")
_OWNER = "reqrun_requests_owner"
_CAREFULLY = "SET LOCAL ROLE {}; SET LOCAL lock_timeout = '100ms'"
_TRIES = 20
_PAUSE_SECONDS = 0.25

_ENDED = """
SELECT request_id, body_expires_on AS day FROM results
WHERE request_id > $1 ORDER BY request_id LIMIT $2
"""
_AGE = (
    "UPDATE bodies SET expires_on = $3 WHERE request_id = ANY($1) AND expires_on = ANY($2)",
    "UPDATE body_keys SET expires_on = $3 WHERE request_id = ANY($1) AND expires_on = ANY($2)",
    "UPDATE requests SET body_expires_on = $3 WHERE id = ANY($1) AND body_expires_on = ANY($2)",
    """
    UPDATE results SET body_expires_on = $3 WHERE request_id = ANY($1) AND body_expires_on = ANY($2)
    """,
    """
    UPDATE idempotency_keys k SET expires_on = $3 FROM requests r
    WHERE r.id = ANY($1) AND k.expires_on = ANY($2) AND k.project_id = r.project_id
        AND k.mode = r.mode AND k.key = r.idempotency_key
    """,
)

# Sent events are kept for an hour (libs/common/outbox.py).
_AGE_OUTBOX = """
UPDATE outbox SET sent_at = sent_at - interval '1 hour'
WHERE sent_at BETWEEN now() - interval '1 hour' AND now() - interval '1 min'
"""


class Turned(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests were aged, and partitions offered, dropped, taken away and made again."""

    aged: int = 0
    offered: int = 0
    dropped: int = 0
    taken: int = 0
    remade: int = 0


class Turnover:
    """On a superuser's connection to the ledger, whose tables are `owner`'s."""

    def __init__(self, sql: "asyncpg.Connection[asyncpg.Record]", *, owner: str = _OWNER) -> None:
        """Nothing was aged so far."""
        self._sql, self._carefully = sql, _CAREFULLY.format(owner)
        self._last_id = ""
        self._aged = self._days = 0
        self._offered: set[str] = set()
        self._missing: set[str] = set()
        self._taken = self._remade = 0

    async def step(self) -> None:
        """One more day passes. Where others do not let go of a table, it passes a minute later."""
        today = datetime.now(UTC).date()
        self._days += 1
        await self._age(today - timedelta(days=self._days))
        await self._note_remade()
        await self._take_away(today + timedelta(days=PARTITION_DAYS))

    async def turned(self) -> Turned:
        """So far."""
        await self._note_remade()
        left = sum([await self._is_there(name) for name in self._offered])
        return Turned(
            aged=self._aged,
            offered=len(self._offered),
            dropped=len(self._offered) - left,
            taken=self._taken,
            remade=self._remade,
        )

    async def _age(self, day: date) -> None:
        rows = await self._sql.fetch(_ENDED, self._last_id, _AGED_AT_ONCE)
        if not rows or not all([await self._make(parent, day) for parent in _PARENTS]):
            return
        ids, days = [row["request_id"] for row in rows], list({row["day"] for row in rows})
        with suppress(asyncpg.UndefinedTableError):  # the dispatcher was faster: the next day then
            async with self._sql.transaction():
                await self._hold(day)
                for statement in _AGE:
                    await self._sql.execute(statement, ids, days, day)
                await self._sql.execute(_AGE_OUTBOX)
            self._last_id = ids[-1]
            self._aged += len(ids)

    async def _hold(self, day: date) -> None:
        """Its day has come, so that the dispatcher may drop it before anything is in it."""
        names = ", ".join(_partition(parent, day) for parent in _PARENTS)
        await self._sql.execute(f"LOCK TABLE {names} IN ROW EXCLUSIVE MODE")

    async def _make(self, parent: str, day: date) -> bool:
        name, end = _partition(parent, day), day + timedelta(days=1)
        bounds = f"FOR VALUES FROM ('{day}') TO ('{end}')"
        is_made = await self._locking(f"CREATE TABLE {name} PARTITION OF {parent} {bounds}")
        if is_made:
            self._offered.add(name)
        return is_made

    async def _take_away(self, day: date) -> None:
        for name in [_partition(parent, day) for parent in _PARENTS]:
            if name not in self._missing and await self._locking(f"DROP TABLE {name}"):
                self._missing.add(name)
                self._taken += 1

    async def _note_remade(self) -> None:
        there = {name for name in self._missing if await self._is_there(name)}
        self._missing -= there
        self._remade += len(there)

    async def _locking(self, statement: str) -> bool:
        """Run it as the tables' owner, who alone may drop them; False where it got no lock.

        It locks the parent, and every accept would queue behind a longer wish for that lock.
        """
        for _ in range(_TRIES):
            with suppress(asyncpg.LockNotAvailableError):
                async with self._sql.transaction():
                    await self._sql.execute(self._carefully)
                    await self._sql.execute(statement)
                return True
            await asyncio.sleep(_PAUSE_SECONDS)
        return False

    async def _is_there(self, table: str) -> bool:
        found: bool = await self._sql.fetchval("SELECT to_regclass($1) IS NOT NULL", table)
        return found


def _partition(parent: str, day: date) -> str:
    return f"{parent}_{day:%Y%m%d}"
