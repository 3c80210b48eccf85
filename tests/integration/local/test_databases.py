"""Every service can use its own database, and nothing more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.keys.material import SERVICES
from deploy.local import databases, keys
from deploy.local.programs import Program, ProgramFailed, run_once
from deploy.local.servers.postgresql import PostgreSql, binaries
from tests.support import servers


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> keys.Keys:
    return keys.load_or_make(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def server(made: keys.Keys) -> Iterator[PostgreSql]:
    with servers.running(PostgreSql) as started:
        databases.create(started, made)
        databases.create(started, made)
        yield started


def as_role(address: str, sql: str) -> str:
    command = (str(binaries() / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", address)
    return run_once(Program(name="psql", command=command, environment={}), sql)


def owner(server: PostgreSql, made: keys.Keys, name: str) -> str:
    return server.database_url(name, f"reqrun_{name}_owner", made.owners[name])


def service(server: PostgreSql, made: keys.Keys, name: str, database: str) -> str:
    return server.database_url(database, f"reqrun_{name}", made.services[name])


def test_a_service_reads_and_writes_rows_that_its_owner_shaped(
    server: PostgreSql, made: keys.Keys
) -> None:
    as_role(
        owner(server, made, "accounts"),
        "CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY, text text);"
        "GRANT USAGE ON SCHEMA public TO reqrun_accounts;"
        "GRANT SELECT, INSERT ON note TO reqrun_accounts",
    )
    address = service(server, made, "accounts", "accounts")
    assert as_role(address, "INSERT INTO note (text) VALUES ('a') RETURNING text").strip() == "a"
    for forbidden in ("DROP TABLE note", "CREATE TABLE mine (id int)", "TRUNCATE note"):
        with pytest.raises(ProgramFailed, match=r"permission denied|must be owner"):
            as_role(address, forbidden)


def test_without_a_grant_of_the_migrations_a_service_reads_nothing(
    server: PostgreSql, made: keys.Keys
) -> None:
    as_role(owner(server, made, "requests"), "CREATE TABLE kept (id int)")
    with pytest.raises(ProgramFailed, match="permission denied"):
        as_role(service(server, made, "gateway", "requests"), "SELECT * FROM kept")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_cannot_enter_a_database_of_others(
    server: PostgreSql, made: keys.Keys, name: str
) -> None:
    for database in databases.DATABASES:
        address = service(server, made, name, database.name)
        if name in database.services:
            assert as_role(address, "SELECT 1").strip() == "1"
        else:
            with pytest.raises(ProgramFailed, match="permission denied"):
                as_role(address, "SELECT 1")


def test_a_wrong_password_is_refused(server: PostgreSql, tmp_path: Path) -> None:
    other = keys.load_or_make(tmp_path)
    with pytest.raises(ProgramFailed, match="password authentication failed"):
        as_role(service(server, other, "billing", "billing"), "SELECT 1")
