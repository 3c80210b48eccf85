"""PostgreSQL through SQLAlchemy: for accounts, billing and the outbox. The ledger has its own way.

`Database.transaction()` is the only way to a session: the indented block is the transaction. Every
session is bounded on the server (statements, locks, idling in a transaction, dead peers) and in the
client (`command_timeout`), because without that a frozen server is waited for without end.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

import msgspec
from sqlalchemy import MetaData, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from libs.common import database_signs, logs
from libs.common.errors import Unavailable
from libs.common.settings import Secret

log = logs.get(__name__)

DURABILITY_MISSING: Final = "database_durability_missing"

DRIVER: Final = "postgresql+asyncpg"

# Constraints are named by rule, so that migrations can name them too.
NAMING: Final = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLSTATE read_only_sql_transaction: this server is not the primary any more.
_READ_ONLY: Final = "25006"
_IN_THE_WAY: Final = frozenset({"40001", "40P01", "55P03"})
"""serialization_failure, deadlock_detected, lock_not_available (`Bounds.lock` is over)."""

_SAFE_COMMITS: Final = frozenset({"on", "remote_apply"})
_READY_SECONDS: Final = 1.0


Transaction = AsyncSession
"""What `Database.transaction` opens: commits at its end, or not at all."""


class DatabaseAway(Unavailable):
    """PostgreSQL does not answer, went away in the middle, or somebody holds what is needed."""

    def __init__(self) -> None:
        super().__init__(
            "The database does not answer right now. Try again in a moment.",
            retry_after=timedelta(seconds=1),
        )


class NotDurable(Exception):
    """The server is set up to forget what it has acknowledged; the text names the setting."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How long things may take. `connections`: at most, for the process. `wait`: for one of them.

    `idle` bounds a transaction in which we do nothing; a relay publishes in one.
    """

    statement: timedelta = timedelta(seconds=5)
    lock: timedelta = timedelta(seconds=2)
    idle: timedelta = timedelta(seconds=15)
    connect: timedelta = timedelta(seconds=5)
    wait: timedelta = timedelta(seconds=2)
    connections: int = 8


BOUNDS: Final = Bounds()


def new_metadata() -> MetaData:
    """For a service's own `Base`; one each, so that two services may name a table alike."""
    return MetaData(naming_convention=NAMING)


class Database:
    """Hands out transactions. There is no other way to get a session."""

    def __init__(self, url: Secret, *, application: str, bounds: Bounds = BOUNDS) -> None:
        """`url`: `postgresql://…`. `application`: shown in pg_stat_activity."""
        target = make_url(url.reveal()).set(drivername=DRIVER)
        self.name = target.database or ""
        self._engine = create_async_engine(
            target,
            pool_size=bounds.connections,
            max_overflow=0,
            pool_timeout=bounds.wait.total_seconds(),
            pool_pre_ping=True,
            connect_args=_connect_arguments(application, bounds),
            # An error's text quotes the statement's parameters, and so what a customer gave us.
            hide_parameters=True,
        )
        event.listen(self._engine.sync_engine, "handle_error", _leave_read_only_server)
        self._probe: asyncio.Task[bool] | None = None
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def __aenter__(self) -> Self:
        """Connects when first used, not here."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Commit at the end of the block, roll back on any exception.

        Raises DatabaseAway when the server does not answer; a commit that failed so is *unknown*,
        not undone.
        """
        try:
            async with self._sessions.begin() as tx:
                yield tx
        except (OSError, PoolTimeout) as away:
            database_signs.count_error(self.name, None)
            raise DatabaseAway from away
        except DBAPIError as error:
            if _is_away(error):
                database_signs.count_error(self.name, _sqlstate(error))
                raise DatabaseAway from error
            raise

    async def is_ready(self) -> bool:
        """Whether it answers within a second."""
        if self._probe is not None and not self._probe.done():
            return False
        self._probe = asyncio.create_task(self._ping())
        await asyncio.wait([self._probe], timeout=_READY_SECONDS)
        if self._probe.done():
            return self._probe.result()
        # Not awaited: the driver waits two seconds more for a frozen server's goodbye.
        self._probe.cancel()
        return False

    async def _ping(self) -> bool:
        asked_at = time.time()
        try:
            async with self._engine.connect() as connection:
                now = await connection.scalar(text("SELECT clock_timestamp()"))
        except Exception:  # noqa: BLE001  # whatever it was, it is not ready
            return False
        database_signs.note_clock(self.name, now, asked_at)
        return True

    async def check_durability(self) -> None:
        """For the start: raises NotDurable where a crash could lose an acknowledged commit."""
        async with self._engine.connect() as connection:
            for setting, good in DURABLE.items():
                value = await connection.scalar(text(f"SHOW {setting}"))
                if value not in good:
                    log.error(DURABILITY_MISSING, reason=f"{setting} = {value}")
                    raise NotDurable(f"PostgreSQL runs with {setting} = {value}.")


DURABLE: Final = {
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
    "synchronous_commit": _SAFE_COMMITS,
}
"""Settings of the server, and the values with which it keeps what it acknowledged."""


def _connect_arguments(application: str, bounds: Bounds) -> dict[str, object]:
    return {
        "timeout": bounds.connect.total_seconds(),
        # Behind the server's own bound, so that the server's clearer error comes first.
        "command_timeout": bounds.statement.total_seconds() + 1,
        "server_settings": {
            "application_name": application,
            "statement_timeout": _milliseconds(bounds.statement),
            "lock_timeout": _milliseconds(bounds.lock),
            "idle_in_transaction_session_timeout": _milliseconds(bounds.idle),
            "tcp_keepalives_idle": "30",
            "tcp_keepalives_interval": "10",
            "tcp_keepalives_count": "3",
        },
    }


def _milliseconds(duration: timedelta) -> str:
    return str(round(duration.total_seconds() * 1000))


def _leave_read_only_server(context: ExceptionContext) -> None:
    """After a failover the pool still holds the old primary: drop it and connect anew."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _is_away(error: DBAPIError) -> bool:
    """08 connection, 53 resources, 57 operator intervention (shutdown, time-out), 58 system.

    And where others were in the way: nothing is wrong with what was wanted, and later it works.
    """
    sqlstate = _sqlstate(error) or ""
    is_away = sqlstate.startswith(("08", "53", "57", "58"))
    return error.connection_invalidated or is_away or sqlstate in _IN_THE_WAY


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
