"""The tables of database `billing`, and what the service's role may do with them."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from libs.common import migrations
from libs.common.database import DRIVER
from services.billing import app
from services.billing.models import Base
from services.billing.ports import Ports


async def test_the_migrations_make_exactly_the_tables_of_the_models(billing_address: str) -> None:
    url = billing_address.replace("postgresql", DRIVER, 1)
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), Base.metadata)
        )

    assert differences == []


async def test_migrating_again_changes_nothing(billing_address: str) -> None:
    await migrations.upgrade(billing_address, app.VERSIONS)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE usage_records SET attempts = 0",
        "DELETE FROM usage_records",
        "DELETE FROM billing_accounts",
        "DROP TABLE usage_records",
    ],
)
async def test_the_service_may_not(ports: Ports, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        async with ports.db.transaction() as tx:
            await tx.execute(text(statement))
