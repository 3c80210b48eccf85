"""The schema of database `requests`, as alembic revisions over plain SQL files."""

from pathlib import Path
from typing import Final

from libs.common import migrations

VERSIONS: Final = Path(__file__).parent / "versions"
SCRIPTS: Final = Path(__file__).parent / "sql"


async def upgrade(url: str) -> None:
    """Bring the ledger at `url` (its owner's address) to the newest revision."""
    await migrations.upgrade(url, VERSIONS)
