"""Migrations: alembic, run from code, the same way for every database.

Each owner keeps its revisions in `<package>/migrations/versions`. A migration is additive first;
removal comes one release later. Two processes that migrate at once take turns (advisory lock).
"""

from pathlib import Path
from typing import Final

from alembic import command, op
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

_HOME: Final = Path(__file__).parent
_LOCK: Final = 7_310_031


async def upgrade(url: str, versions: Path) -> None:
    """Bring the database at `url` to the newest revision in `versions`; harmless when it is."""
    address = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(address, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK})
            # DDL that waits for a lock makes everybody else wait behind it: rather fail and retry.
            await connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            await connection.run_sync(_upgrade, versions)
    finally:
        await engine.dispose()


def run_script(script: Path) -> None:
    """Run a file of several SQL statements inside the migration's transaction."""
    adapted = op.get_bind().connection.dbapi_connection
    adapted.run_async(lambda driver: driver.execute(script.read_text()))  # type: ignore[union-attr]


def _upgrade(connection: Connection, versions: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(_HOME))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
