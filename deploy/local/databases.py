"""The three databases, who owns each, and the service roles with only what they need."""

import msgspec

from deploy.local.keys import Keys
from deploy.local.servers.postgresql import PostgreSql


class Database(msgspec.Struct, frozen=True):
    """One database. The owner migrates it; its migrations say what each service may do."""

    name: str
    services: tuple[str, ...]

    @property
    def owner(self) -> str:
        """The role that owns the tables."""
        return f"reqrun_{self.name}_owner"


DATABASES = (
    Database("requests", ("gateway", "executor", "operator")),
    Database("accounts", ("accounts",)),
    Database("billing", ("billing",)),
)

_ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} LOGIN;
    END IF;
END $$;
ALTER ROLE {role} PASSWORD '{password}';
"""


def create(server: PostgreSql, keys: Keys) -> None:
    """Make what is missing of roles and databases. Harmless again."""
    roles = {f"reqrun_{service}": password for service, password in keys.services.items()}
    roles |= {database.owner: keys.owners[database.name] for database in DATABASES}
    server.execute("".join(_ROLE.format(role=r, password=p) for r, p in roles.items()))
    present = server.execute("SELECT datname FROM pg_database").split()
    for database in DATABASES:
        if database.name not in present:
            server.create_database(database.name, owner=database.owner)
        _let_in(server, database)


def _let_in(server: PostgreSql, database: Database) -> None:
    statements = [f"REVOKE ALL ON DATABASE {database.name} FROM PUBLIC;"]
    for service in database.services:
        role = f"reqrun_{service}"
        statements.append(f"GRANT CONNECT ON DATABASE {database.name} TO {role};")
    server.execute("".join(statements), database.name)
