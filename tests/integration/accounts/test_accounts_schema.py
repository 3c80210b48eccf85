"""The tables of database `accounts`, and what the service's role may do with them."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from libs.common import migrations
from libs.common.database import DRIVER
from services.accounts import app
from services.accounts.models import Base
from services.accounts.ports import Ports


async def test_the_migrations_make_exactly_the_tables_of_the_models(accounts_address: str) -> None:
    url = accounts_address.replace("postgresql", DRIVER, 1)
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), Base.metadata)
        )

    assert differences == []


async def test_migrating_again_changes_nothing(accounts_address: str) -> None:
    await migrations.upgrade(accounts_address, app.VERSIONS)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor = 'nobody'",
        "DELETE FROM audit_events",
        "DELETE FROM accounts",
        "DROP TABLE projects",
        "CREATE TABLE extra (id int)",
    ],
)
async def test_the_service_may_not(ports: Ports, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        async with ports.db.transaction() as tx:
            await tx.execute(text(statement))
