"""Backups as operators make them (docs/operations.md, "What is kept apart"), and their restore."""

import os
from pathlib import Path
from typing import Final

import msgspec

from deploy.local.programs import Program, run_once
from deploy.local.servers.postgresql import PostgreSql, binaries

# By pattern: `body_keys` is partitioned by day, and PostgreSQL 15's pg_dump takes a partition for a
# table of its own. Without the star it would hold every key.
APART: Final = {"accounts": "data_keys", "requests": "body_keys*"}


class Dump(msgspec.Struct, frozen=True):
    """Of one database. `lasting`: all but the keys; `keys`: the short-lived rest (may be empty)."""

    database: str
    lasting: Path
    keys: Path


def dump(server: PostgreSql, database: str, folder: Path) -> Dump:
    """Both dumps of a database, now: the keys last, or the newest bodies would have none."""
    lasting = folder / f"{database}.sql"
    apart = [f"--exclude-table-data={APART[database]}"] if database in APART else []
    _run(server, "pg_dump", *apart, f"--file={lasting}", database)
    return Dump(database, lasting, dump_keys(server, database, folder))


def dump_keys(server: PostgreSql, database: str, folder: Path) -> Path:
    """The short-lived dump alone, in place of an older one; empty where nothing is kept apart."""
    keys = folder / f"{database}.keys.sql"
    keys.touch()
    if database in APART:
        only = (f"--table={APART[database]}", "--data-only")
        _run(server, "pg_dump", *only, f"--file={keys}", database)
    return keys


def restore(server: PostgreSql, database: str, *files: Path) -> None:
    """Into an empty database, in order."""
    for file in files:
        options = ("-Xq", "-v", "ON_ERROR_STOP=1", "--output=/dev/null", f"--file={file}")
        _run(server, "psql", *options, f"--dbname={database}")


def _run(server: PostgreSql, program: str, *options: str) -> None:
    address = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres")
    run_once(
        Program(
            name=program,
            command=(str(binaries() / program), *address, *options),
            environment={"PATH": os.defpath, "LANG": "C.UTF-8", "PGPASSWORD": server.password},
        )
    )


def whole(server: PostgreSql, database: str, folder: Path) -> str:
    """All of a database, keys too, as text."""
    file = folder / f"{database}.whole.sql"
    _run(server, "pg_dump", f"--file={file}", database)
    return file.read_text()
