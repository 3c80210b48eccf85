"""Connections to database `requests`, and what a statement may meet on the way.

A statement either succeeds, or raises `LedgerAway` (nobody knows whether it committed: the same
call may be made again, every verb is idempotent or fenced), or `ItemRefused` for the one item whose
value the database does not take, or `LedgerFailed`: it answers, and will not do it (a function that
a migration has yet to make, a deadlock that comes again and again). No other work ends for that.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias, TypeVar

import asyncpg

from libs.common import database_signs, logs
from libs.common.errors import AppError, InvalidInput, Unavailable
from libs.ledger.sessions import Session, Sessions

log = logs.get(__name__)

STATEMENT_RETRIED: Final = "ledger_statement_retried"
STATEMENT_FAILED: Final = "ledger_statement_failed"
ITEM_REFUSED: Final = "ledger_item_refused"
DURABILITY_MISSING: Final = "ledger_durability_missing"

DATABASE: Final = "requests"

CONNECT_TIMEOUT: Final = timedelta(seconds=2)
_RETRIES: Final = 3
_RETRY_AFTER: Final = timedelta(seconds=1)

# Serialization failure and deadlock: run the whole statement again. A counter's CHECK too: an
# UPDATE that waited for another checks the row as it was before that one (READ COMMITTED), so that
# `slots >= 0` may seem violated where it is not.
_AGAIN: Final = ("40001", "40P01", "23514")
# Read-only after a failover, or shutting down: this connection is of no more use.
_STALE: Final = ("25006",)
# Class 22 (data exception) and 23 (integrity constraint violation): one item's value is to blame.
_REFUSED: Final = ("22", "23")

# InternalClientError: what asyncpg raises on a connection that the server closed while it idled.
_CUT: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.exceptions.InternalClientError,
)

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Connection: TypeAlias = Session


class LedgerAway(Unavailable):
    """PostgreSQL does not answer, or went away in the middle."""

    def __init__(self) -> None:
        super().__init__(
            "The request store does not answer right now. Try again with the same idempotency key.",
            retry_after=_RETRY_AFTER,
        )


class LedgerFailed(Unavailable):
    """PostgreSQL answers, and cannot do what it is asked: an operator's matter."""

    def __init__(self) -> None:
        super().__init__(
            "The request store cannot do this right now. Try again with the same idempotency key.",
            retry_after=_RETRY_AFTER,
        )


LEDGER_TROUBLE: Final = (LedgerAway, LedgerFailed)
"""What does not end by itself being wrong: the same call may be made again."""


class ItemRefused(InvalidInput):
    """The database does not take a value of this one item."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("A value in this request cannot be stored.")
        self.sqlstate = sqlstate


class DurabilityMissing(Exception):
    """The server would acknowledge commits that a crash may lose; we do not start on it."""


class Plans(StrEnum):
    """When the server plans a statement (decision 0002).

    `MADE_EACH_TIME`: for statements over partitions or with a skip-scan, whose best plan depends on
    what they are asked. `MADE_ONCE`: for those that find everything by key; to plan them costs more
    than to run them. Sequential scans are off there, because a plan that was made while `live` was
    empty would scan it for ever (measured: 50 ms a batch beside a hundred thousand rows).
    """

    MADE_EACH_TIME = "custom"
    MADE_ONCE = "generic"


_SETTINGS: Final = {
    Plans.MADE_EACH_TIME: {"plan_cache_mode": "force_custom_plan"},
    Plans.MADE_ONCE: {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"},
}


class Options(NamedTuple):
    """How many connections at the most, and how long a statement may take."""

    connections: int
    statement_timeout: timedelta


class Database:
    """Sessions at the ledger, with the settings that its statements need."""

    def __init__(
        self, url: str, options: Options, *, name: str, plans: Plans = Plans.MADE_EACH_TIME
    ) -> None:
        """`name`: the application name the server shows."""
        self._url = url
        self._timeout = options.statement_timeout.total_seconds()
        self._settings = {
            "application_name": name,
            "synchronous_commit": "on",
            "statement_timeout": str(int(self._timeout * 1000)),
            "lock_timeout": str(int(self._timeout * 500)),
            "idle_in_transaction_session_timeout": "10000",
            "tcp_keepalives_idle": "10",
            "jit": "off",
            **_SETTINGS[plans],
        }
        self._sessions = Sessions(self._connect, options.connections)

    async def close(self) -> None:
        """Close all connections; those in use get two seconds."""
        await self._sessions.close(CONNECT_TIMEOUT)

    async def run(self, work: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        """Call `work` with a connection. Retries what the server asks to.

        Raises LedgerAway, LedgerFailed.
        """
        try:
            return await self._run(work)
        except asyncpg.PostgresError as error:
            raise _failed(error) from error

    async def _run(self, work: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        """As `run`, but raises what the server raised."""
        for left in range(_RETRIES, -1, -1):
            try:
                return await self._once(work)
            except asyncpg.PostgresError as error:
                if error.sqlstate not in _AGAIN or not left:
                    raise
                database_signs.count_error(DATABASE, error.sqlstate)
                log.warning(STATEMENT_RETRIED, sqlstate=error.sqlstate)
        raise AssertionError("unreachable")  # pragma: no cover

    async def run_batch(
        self,
        items: Sequence[Item],
        work: Callable[[Connection, Sequence[Item]], Awaitable[Sequence[Answer]]],
    ) -> Sequence[Answer | Exception]:
        """Run one statement for all items; one item's bad value never fails another's.

        When the server refuses a value, the batch is halved, one half after the other, until the
        item that is to blame stands alone and gets ItemRefused.
        """
        try:
            return await self._run(lambda connection: work(connection, items))
        except asyncpg.PostgresError as error:
            sqlstate = error.sqlstate or ""
            if not sqlstate.startswith(_REFUSED):
                raise _failed(error) from error
        except asyncpg.DataError:  # the client's encoder refused a value
            sqlstate = "22000"
        if len(items) == 1:
            log.warning(ITEM_REFUSED, sqlstate=sqlstate)
            return [ItemRefused(sqlstate)]
        half = len(items) // 2
        first = await self.run_batch(items[:half], work)
        return [*first, *await self.run_batch(items[half:], work)]

    async def is_ready(self) -> bool:
        """Tell whether a statement gets an answer now."""
        asked_at = time.time()
        try:
            now = await self.run(lambda connection: connection.fetchval("SELECT clock_timestamp()"))
        except AppError:
            return False
        database_signs.note_clock(DATABASE, now, asked_at)
        return True

    async def check_durability(self) -> None:
        """Raise DurabilityMissing when the server is set to lose acknowledged commits."""
        for setting, good in (
            ("fsync", ("on",)),
            ("full_page_writes", ("on",)),
            ("synchronous_commit", ("on", "remote_apply")),
        ):
            value = await self.run(
                lambda connection, name=setting: connection.fetchval(f"SHOW {name}")  # type: ignore[misc]
            )
            if value not in good:
                log.error(DURABILITY_MISSING, reason=f"{setting} = {value}")
                raise DurabilityMissing(f"PostgreSQL runs with {setting} = {value}")

    async def _once(self, work: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        try:
            connection = await self._sessions.take()
        except (asyncpg.PostgresError, *_CUT) as away:
            raise _away(away) from away
        try:
            return await work(connection)
        except asyncpg.PostgresError as error:
            if _is_away(error):
                connection.terminate()
                raise _away(error) from error
            raise
        except asyncpg.DataError:
            raise
        except _CUT as away:
            # A frozen server would also freeze the polite way of ending a session.
            connection.terminate()
            raise _away(away) from away
        except asyncio.CancelledError:
            connection.terminate()  # it may be in the middle of a statement
            raise
        finally:
            self._sessions.give_back(connection)

    async def _connect(self) -> Connection:
        return await asyncpg.connect(
            self._url,
            timeout=CONNECT_TIMEOUT.total_seconds(),
            command_timeout=self._timeout,
            server_settings=self._settings,
        )


def _away(error: BaseException) -> LedgerAway:
    """What to raise for it, once it is counted."""
    database_signs.count_error(DATABASE, getattr(error, "sqlstate", None))
    return LedgerAway()


def _failed(error: asyncpg.PostgresError) -> LedgerFailed:
    """The same. Its text is not logged: it may quote values."""
    database_signs.count_error(DATABASE, error.sqlstate)
    log.error(STATEMENT_FAILED, sqlstate=error.sqlstate)
    return LedgerFailed()


def _is_away(error: asyncpg.PostgresError) -> bool:
    sqlstate = error.sqlstate or ""
    # 08 connection, 53 resources, 57 operator intervention (shutdown, time-out), 58 system.
    return sqlstate.startswith(("08", "53", "57", "58")) or sqlstate in (*_STALE, "55P03", "XX000")
