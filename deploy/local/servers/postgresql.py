"""A private PostgreSQL."""

import os
import shutil
import signal
from pathlib import Path

from deploy.local import places
from deploy.local.programs import Program, ProgramFailed, run_once
from deploy.local.servers.server import Server

# What is acknowledged is on disk. The logs hold codes and messages, never a statement, a parameter
# or the DETAIL line, which quotes row values.
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
max_connections = 200
password_encryption = scram-sha-256
fsync = on
synchronous_commit = on
full_page_writes = on
wal_compression = on
max_wal_size = 2GB
shared_buffers = {shared_buffers}
random_page_cost = 1.1
timezone = 'UTC'
log_timezone = 'UTC'
log_min_error_statement = panic
log_error_verbosity = terse
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
shared_preload_libraries = '{preload}'
"""


def binaries() -> Path:
    """The newest installed PostgreSQL's programs; FileNotFoundError when there is none."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3])
    )
    found = str(versions[-1]) if versions else shutil.which("postgres")
    if found is None:
        raise FileNotFoundError("PostgreSQL is not installed")
    return Path(found).resolve().parent


class PostgreSql(Server):
    """One cluster, superuser `postgres`, passwords over SCRAM, TCP on 127.0.0.1 only."""

    name = "postgresql"
    title = "PostgreSQL"
    package_account = "postgres"
    shared_buffers = "128MB"

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """The superuser's address of database `postgres`."""
        return self.database_url("postgres")

    def database_url(self, name: str, user: str = "postgres", password: str | None = None) -> str:
        """The address of one database for one user (the superuser unless named)."""
        secret = self.password if password is None else password
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{name}"

    def prepare(self) -> None:
        """Make the cluster once; write its configuration every time."""
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        preload = _preload()
        text = _CONFIGURATION.format(
            port=self.port, shared_buffers=self.shared_buffers, preload=preload
        )
        places.write_private(self.data / "postgresql.conf", text, self.account)

    def program(self) -> Program:
        """The server itself; SIGINT is its fast shutdown (waits for no client)."""
        return Program(
            name=self.name,
            command=(str(binaries() / "postgres"), "-D", str(self.data)),
            environment=_environment(),
            folder=str(self.folder),
            log=str(self.log),
            account=self.account,
            stop_signal=signal.SIGINT,
        )

    def is_ready(self) -> bool:
        """Whether it accepts sessions and its data directory is ours."""
        try:
            return self.execute("SHOW data_directory").strip() == str(self.data)
        except ProgramFailed:
            return False

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run statements as the superuser; unaligned rows back, ProgramFailed with the reason."""
        address = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database)
        command = (str(binaries() / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", *address)
        environment = {**_environment(), "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "5"}
        return run_once(Program(name="psql", command=command, environment=environment), sql)

    def create_database(self, name: str, template: str = "template0", owner: str = "") -> str:
        """A new database (a copy of `template`); its address for the superuser."""
        owned = f' OWNER "{owner}"' if owner else ""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{owned}')
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop it, ending whatever sessions are left in it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _make_cluster(self) -> None:
        places.make_folder(self.data, self.account)
        secret = self.folder / "password"
        places.write_private(secret, self.password, self.account)
        access = ("-U", "postgres", "--auth=scram-sha-256", f"--pwfile={secret}")
        content = ("--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions")
        initdb = Program(
            name="initdb",
            command=(str(binaries() / "initdb"), "-D", str(self.data), *access, *content),
            environment=_environment(),
            account=self.account,
        )
        try:
            run_once(initdb)
        finally:
            secret.unlink()


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC"}


def _preload() -> str:
    """pg_stat_statements where the package has it (Debian puts it beside the programs)."""
    library = binaries().parent / "lib" / "pg_stat_statements.so"
    return "pg_stat_statements" if library.exists() else ""
