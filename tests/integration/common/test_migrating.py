"""How a database is migrated: in turn, a transaction a revision, and indexes without a lock."""

import asyncio
import textwrap
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy.exc import DBAPIError

from libs.common import migrations
from tests.support.checker_sources import ask, count

FIRST: Final = 'op.execute("CREATE TABLE t (a integer)")'
CONCURRENTLY: Final = """
op.execute("INSERT INTO t SELECT 1")
with op.get_context().autocommit_block():
    op.create_index("t_a", "t", ["a"], postgresql_concurrently=True)
"""
INDEXES: Final = "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid"


def write(folder: Path, number: int, body: str) -> None:
    before = f'"{number - 1:04}"' if number > 1 else None
    head = f'from alembic import op\nrevision = "{number:04}"\ndown_revision = {before}\n'
    text = f"{head}def upgrade():\n{textwrap.indent(body, '    ')}\n"
    (folder / f"{number:04}.py").write_text(text)


async def test_an_index_is_made_concurrently_while_another_migrator_waits_for_its_turn(
    empty_database: str, tmp_path: Path
) -> None:
    """One that waited in a statement would be waited for by the index: both, for ever."""
    write(tmp_path, 1, FIRST)
    write(tmp_path, 2, CONCURRENTLY)

    async with asyncio.timeout(60):
        await asyncio.gather(*(migrations.upgrade(empty_database, tmp_path) for _ in range(3)))

    assert await count(empty_database, INDEXES) == 1
    assert await count(empty_database, "SELECT count(*) FROM t") == 1


async def test_a_revision_that_fails_leaves_the_ones_before_it_and_nothing_of_its_own(
    empty_database: str, tmp_path: Path
) -> None:
    write(tmp_path, 1, FIRST)
    write(tmp_path, 2, 'op.execute("INSERT INTO t SELECT 1")\nop.execute("SELECT 1 / 0")')

    with pytest.raises(DBAPIError, match="division by zero"):
        await migrations.upgrade(empty_database, tmp_path)

    assert await count(empty_database, "SELECT count(*) FROM t") == 0
    [[at]] = await ask(empty_database, "SELECT version_num FROM alembic_version")
    assert at == "0001"


async def test_no_migration_waits_for_a_lock_for_long(empty_database: str, tmp_path: Path) -> None:
    write(
        tmp_path, 1, "op.execute(\"CREATE TABLE shown AS SELECT current_setting('lock_timeout')\")"
    )

    await migrations.upgrade(empty_database, tmp_path)

    [[shown]] = await ask(empty_database, "SELECT * FROM shown")
    assert shown == "5s"
