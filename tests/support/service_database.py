"""A service's database as it is in production: made by an owner, used by a role that may little."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.servers.postgresql import PostgreSql
from libs.common import migrations
from libs.common.settings import Secret

_ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} LOGIN;
    END IF;
END $$;
ALTER ROLE {role} PASSWORD '{password}';
"""

# A tenth of what a new copy costs. Whoever is still connected would write into the next test.
_EMPTY = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid();
SET session_replication_role = replica;
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT quote_ident(tablename) FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP EXECUTE 'DELETE FROM ' || name; END LOOP;
END $$;
SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S';
"""


class ServiceDatabase:
    """A migrated template, and a copy of it that is lent to one test after the other."""

    def __init__(self, server: PostgreSql, service: str) -> None:
        """Nothing is made yet."""
        self.server, self.role = server, f"reqrun_{service}"
        self.owner = f"reqrun_{service}_owner"
        self.template = f"template_{service}_{secrets.token_hex(4)}"
        # Of the server and the service, not of this object: roles are the server's, and another
        # test of the same session may make the same service's database anew.
        named = f"{server.password}/{service}".encode()
        self._password = hashlib.sha256(named).hexdigest()[:24]
        self._copy: str | None = None

    async def create(self, versions: Path) -> None:
        """Make the roles, the template and its tables."""
        for role in (self.owner, self.role):
            self.server.execute(_ROLE.format(role=role, password=self._password))
        self.server.create_database(self.template, owner=self.owner)
        await migrations.upgrade(
            self.server.database_url(self.template, self.owner, self._password), versions
        )

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The copy, without a row; its address for the superuser. No test may change its tables."""
        if self._copy is None:
            self._copy = f"copy_of_{self.template}"
            self.server.create_database(self._copy, self.template)
        try:
            yield self.server.database_url(self._copy)
        finally:
            self.server.execute(_EMPTY, self._copy)

    def drop(self) -> None:
        """Remove the template and its copy."""
        for name in filter(None, (self._copy, self.template)):
            self.server.drop_database(name)

    def url(self, superuser_url: str) -> Secret:
        """The same database, for the service."""
        name = superuser_url.rpartition("/")[2]
        return Secret(self.server.database_url(name, self.role, self._password))
