"""The three databases, who owns each, and the service roles with only what they need."""

import msgspec

from deploy.local.keys import Keys
from deploy.local.servers.postgresql import PostgreSql


class Database(msgspec.Struct, frozen=True):
    """One database. The owner migrates it; the services use it and cannot change its shape.

    With `grants_itself` its migrations say table by table what each service may do; without, its
    one service may read and write every row.
    """

    name: str
    services: tuple[str, ...]
    grants_itself: bool = False

    @property
    def owner(self) -> str:
        """The role that owns the tables."""
        return f"reqrun_{self.name}_owner"


DATABASES = (
    Database("requests", ("gateway", "executor"), grants_itself=True),
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
_ROWS = """
GRANT USAGE ON SCHEMA public TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO {role};
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
        if not database.grants_itself:
            statements.append(_ROWS.format(role=role, owner=database.owner))
    server.execute("".join(statements), database.name)
