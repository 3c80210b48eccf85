"""Checks of each database: it can be reached, is of our version, keeps its word."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
from alembic.config import Config
from alembic.script import ScriptDirectory

from deploy.operator.doctor.check import Check, Verdict, fail, ok, warn
from deploy.operator.doctor.clocks import judge_skew
from deploy.operator.doctor.servers import Server
from libs.common.clock import Clock
from libs.common.database import DURABLE

OLDEST: Final = 15
"""PostgreSQL's oldest major version that our tests run on."""

_FULL: Final = 0.8
_UNTOLD_WARN, _UNTOLD_FAIL = timedelta(minutes=1), timedelta(minutes=10)

_FACTS: Final = """
SELECT current_setting('server_version_num')::int / 10000 AS major,
    current_setting('server_version') AS version, pg_is_in_recovery() AS is_standby
"""
_DURABILITY: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"
_CONNECTIONS: Final = """
SELECT sum(numbackends)::int AS used, current_setting('max_connections')::int AS most
FROM pg_stat_database
"""
_UNTOLD: Final = """
SELECT count(*) AS events,
    coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS seconds
FROM outbox WHERE sent_at IS NULL
"""


class Schema(msgspec.Struct, frozen=True):
    """Where a database's revisions are, and what brings it to the newest."""

    versions: Path
    migrate: str


def checks(server: Server, schema: Schema, clock: Clock) -> Iterator[Check]:
    """All of one database."""

    def named(what: str) -> str:
        return f"{server.name}: {what}"

    yield Check(named("reachable"), lambda: _reach(server))
    yield Check(named("version"), lambda: _check_version(server))
    yield Check(named("schema"), lambda: _check_schema(server, schema))
    yield Check(named("durability"), lambda: _check_durability(server))
    yield Check(named("clock"), lambda: _check_clock(server, clock))
    yield Check(named("connections"), lambda: _check_connections(server))
    yield Check(named("events told"), lambda: _check_outbox(server))


async def _reach(server: Server) -> Verdict:
    began = time.monotonic()
    try:
        await server.open()
    except asyncpg.InvalidAuthorizationSpecificationError:
        return fail("PostgreSQL refuses our role or its password", "compare the secret and role")
    except asyncpg.InvalidCatalogNameError:
        return fail("there is no such database", "make it, and migrate")
    except TimeoutError:
        return fail("PostgreSQL does not answer", "see whether it hangs, or a policy is in between")
    except (OSError, asyncpg.PostgresError) as error:
        return fail(f"PostgreSQL cannot be reached: {type(error).__name__}", "start it")
    return ok(f"answered in {(time.monotonic() - began) * 1000:.0f} ms")


async def _check_version(server: Server) -> Verdict:
    facts = await server.ask_one(_FACTS)
    said = f"PostgreSQL {facts['version'].split()[0]}"
    if facts["is_standby"]:
        return fail(f"{said}, a standby that takes no writes", "lead us to the primary")
    if facts["major"] < OLDEST:
        return fail(f"{said} is older than {OLDEST}", "upgrade it")
    return ok(said)


async def _check_schema(server: Server, schema: Schema) -> Verdict:
    wanted, known = _revisions(schema.versions)
    try:
        rows = await server.ask("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return fail("was never migrated", f"run `{schema.migrate}`")
    except asyncpg.InsufficientPrivilegeError:
        return fail("is older than this program", f"run `{schema.migrate}`")
    found = rows[0]["version_num"] if rows else "nothing"
    if found == wanted:
        return ok(f"revision {found}, as the code wants it")
    if found not in known:
        return warn(f"revision {found} is newer than this program's {wanted}", "use that release's")
    return fail(f"revision {found}, and the code wants {wanted}", f"run `{schema.migrate}`")


def _revisions(versions: Path) -> tuple[str, set[str]]:
    """The newest, and all that this code knows."""
    config = Config()
    config.set_main_option("script_location", str(versions.parent))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    return str(script.get_current_head()), {one.revision for one in script.walk_revisions()}


async def _check_durability(server: Server) -> Verdict:
    rows = await server.ask(_DURABILITY, list(DURABLE))
    bad = [f"{r['name']} = {r['setting']}" for r in rows if r["setting"] not in DURABLE[r["name"]]]
    if bad:
        return fail(f"may forget what it acknowledged: {', '.join(bad)}", "turn it on again")
    return ok(", ".join(f"{row['name']} {row['setting']}" for row in rows))


async def _check_clock(server: Server, clock: Clock) -> Verdict:
    asked_at = clock.now()
    row = await server.ask_one("SELECT clock_timestamp() AS now")
    return judge_skew(row["now"], asked_at, clock.now())


async def _check_connections(server: Server) -> Verdict:
    row = await server.ask_one(_CONNECTIONS)
    said = f"{row['used']} of {row['most']} used"
    if row["used"] >= row["most"] * _FULL:
        return warn(said, "raise max_connections, or run fewer processes")
    return ok(said)


async def _check_outbox(server: Server) -> Verdict:
    row = await server.ask_one(_UNTOLD)
    waited = timedelta(seconds=max(row["seconds"], 0))
    said = f"{row['events']} wait, the oldest for {waited.total_seconds():.0f} s"
    help_ = "see `reqrun parked list`, and whether the relay's process runs"
    if waited > _UNTOLD_FAIL:
        return fail(said, help_)
    return warn(said, help_) if waited > _UNTOLD_WARN else ok(said)
