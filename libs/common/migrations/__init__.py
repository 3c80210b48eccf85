"""Migrations: alembic, run from code, the same way for every database.

Each owner keeps its revisions in `<package>/migrations/versions`. A migration is additive first;
removal comes one release later (deploy/checks/migrations holds them to it). Two processes that
migrate at once take turns. Each revision is a transaction of its own; what must not be in one
(CREATE INDEX CONCURRENTLY) stands in `with op.get_context().autocommit_block():`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from alembic import command, op
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

# DDL that waits for a lock makes everybody else wait behind it: rather fail and retry.
LOCK_TIMEOUT: Final = "SET lock_timeout = '5s'"

_HOME: Final = Path(__file__).parent
_LOCK: Final = 7_310_031
_TURN_SECONDS: Final = 0.2


async def upgrade(url: str, versions: Path) -> None:
    """Bring the database at `url` to the newest revision in `versions`; harmless when it is."""
    address = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(address, poolclass=NullPool)
    try:
        async with _turn(engine), _connected(engine) as connection:
            await connection.run_sync(_upgrade, versions)
    finally:
        await engine.dispose()


def run_script(script: Path) -> None:
    """Run a file of several SQL statements inside the migration's transaction."""
    if op.get_context().as_sql:
        op.get_context().impl.static_output(script.read_text())
        return
    adapted = op.get_bind().connection.dbapi_connection
    adapted.run_async(lambda driver: driver.execute(script.read_text()))  # type: ignore[union-attr]


def configured(versions: Path) -> Config:
    """Alembic's own idea of where things are."""
    config = Config()
    config.set_main_option("script_location", str(_HOME))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "os")
    return config


@asynccontextmanager
async def _turn(engine: AsyncEngine) -> AsyncIterator[None]:
    """Nobody else migrates meanwhile.

    Who waits asks again and again: a statement that waits for the lock would have a snapshot, which
    an index that is made CONCURRENTLY waits for.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        ask = text("SELECT pg_try_advisory_lock(:id)")
        while not (await connection.execute(ask, {"id": _LOCK})).scalar():  # noqa: ASYNC110
            await asyncio.sleep(_TURN_SECONDS)
        yield


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """With the time-out for all its transactions; alembic begins and ends them."""
    async with engine.connect() as connection:
        await connection.execute(text(LOCK_TIMEOUT))
        await connection.commit()
        yield connection


def _upgrade(connection: Connection, versions: Path) -> None:
    config = configured(versions)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
