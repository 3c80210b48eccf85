"""A service's database as it is in production: made by an owner, used by a role that may little."""

import secrets
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


class ServiceDatabase:
    """A migrated template, and addresses of its copies for the service's own role."""

    def __init__(self, server: PostgreSql, service: str) -> None:
        """Nothing is made yet."""
        self.server, self.role = server, f"reqrun_{service}"
        self.owner = f"reqrun_{service}_owner"
        self.template = f"template_{service}_{secrets.token_hex(4)}"
        self._password = secrets.token_urlsafe(12)

    async def create(self, versions: Path) -> None:
        """Make the roles, the template and its tables."""
        for role in (self.owner, self.role):
            self.server.execute(_ROLE.format(role=role, password=self._password))
        self.server.create_database(self.template, owner=self.owner)
        await migrations.upgrade(
            self.server.database_url(self.template, self.owner, self._password), versions
        )

    def drop(self) -> None:
        """Remove the template."""
        self.server.drop_database(self.template)

    def url(self, superuser_url: str) -> Secret:
        """The same database, for the service."""
        name = superuser_url.rpartition("/")[2]
        return Secret(self.server.database_url(name, self.role, self._password))
