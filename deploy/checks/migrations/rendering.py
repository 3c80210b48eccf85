"""Every migration as the SQL that it runs, made without a server."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory

from libs.common import migrations

ROOT: Final = Path(__file__).resolve().parents[3]
VERSIONS: Final[Mapping[str, Path]] = {
    "requests": ROOT / "libs/ledger/migrations/versions",
    "accounts": ROOT / "services/accounts/migrations/versions",
    "billing": ROOT / "services/billing/migrations/versions",
}


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One migration of one database.

    `contract`: the revision since whose release nothing uses what is removed here; None where
    nothing is removed. It is the module's constant CONTRACT.
    """

    database: str
    id: str
    sql: str
    contract: str | None = None

    @property
    def name(self) -> str:
        """For people, and for its file."""
        return f"{self.database}-{self.id}"


class CannotRender(Exception):
    """It does what needs a server: to read rows, say."""


def render(versions: Mapping[str, Path] = VERSIONS) -> list[Revision]:
    """All revisions of all databases, each database's in order. Raises CannotRender."""
    return [
        _render(database, script)
        for database, folder in versions.items()
        for script in reversed(list(_scripts(folder).walk_revisions()))
    ]


def _scripts(folder: Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(migrations.configured(folder))


def _render(database: str, script: Script) -> Revision:
    written = io.StringIO(f"{migrations.LOCK_TIMEOUT};\n")
    written.seek(0, io.SEEK_END)
    options = {"as_sql": True, "output_buffer": written, "transactional_ddl": True}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    try:
        with Operations.context(context):
            script.module.upgrade()
    except Exception as failure:
        raise CannotRender(f"{database}-{script.revision}: {failure!r}") from failure
    return Revision(
        database=database,
        id=script.revision,
        sql=written.getvalue(),
        contract=getattr(script.module, "CONTRACT", None),
    )
