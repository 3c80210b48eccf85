"""`reqrun doctor`."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from deploy.operator.desk import Desk
from deploy.operator.doctor import (
    broker,
    cache,
    databases,
    keys,
    ledger,
    machine,
    processes,
    roles,
)
from deploy.operator.doctor.check import Check, Report, examine
from deploy.operator.doctor.databases import Schema
from deploy.operator.doctor.servers import Server
from deploy.operator.settings import DatabaseSettings
from libs.common.commands import Command
from libs.common.settings import SettingsError, load
from libs.ledger.migrations import VERSIONS
from services.accounts import app as accounts
from services.billing import app as billing

SCHEMAS: Final = {
    "requests": Schema(Path(VERSIONS), "python -m services.gateway migrate"),
    "accounts": Schema(accounts.VERSIONS, "python -m services.accounts migrate"),
    "billing": Schema(billing.VERSIONS, "python -m services.billing migrate"),
}


async def doctor(desk: Desk, given: Namespace) -> Report:
    """`doctor`."""
    async with processes.new_client() as client, opened(desk) as servers:
        checks = [*_checks(desk, servers), *processes.checks(client, _addresses(desk), desk.clock)]
        wanted = [one for one in checks if _is_wanted(one, given.only)]
        with desk.screen.progress("Looking at everything", len(wanted)) as advance:
            return await examine(wanted, lambda _: advance(1))


def _is_wanted(check: Check, only: list[str] | None) -> bool:
    return only is None or any(check.name.startswith(start) for start in only)


def _checks(desk: Desk, servers: Mapping[str, Server]) -> Iterator[Check]:
    settings = desk.settings
    for name, server in servers.items():
        yield from databases.checks(server, SCHEMAS[name], desk.clock)
    yield from roles.checks(servers)
    yield from ledger.checks(servers["requests"])
    yield from broker.checks(settings.broker_url)
    yield from cache.checks(settings.redis_url, desk.clock)
    parts = {name: desk.installation.part(name) for name in ("accounts", "billing")}
    yield from keys.checks(settings.key_folder, parts, desk.installation.own)
    yield from machine.checks(desk.installation.folder)


@asynccontextmanager
async def opened(desk: Desk) -> AsyncIterator[dict[str, Server]]:
    """The three databases, to be closed side by side, however they are."""
    servers = _servers_of(desk)
    try:
        yield servers
    finally:
        await asyncio.gather(*(server.close() for server in servers.values()))


def _addresses(desk: Desk) -> dict[str, str]:
    return desk.settings.addresses()


def _servers_of(desk: Desk) -> dict[str, Server]:
    """The three databases, each for a role of ours; nothing is opened yet."""
    url = desk.settings.ledger_url
    is_set = bool(url.reveal())
    ledger_server = Server("requests", url if is_set else None, "REQRUN_LEDGER_URL is not set")
    others = {name: _server_of(desk, name) for name in ("accounts", "billing")}
    return {"requests": ledger_server, **others}


def _server_of(desk: Desk, name: str) -> Server:
    """A service's database, as the service itself sees it."""
    try:
        return Server(name, load(DatabaseSettings, desk.installation.part(name)).database_url)
    except SettingsError as refused:
        return Server(name, None, f"{refused}, for {name}")


COMMANDS: Final = {
    "doctor": Command(
        doctor,
        "look at servers, versions, roles, keys, clocks, queues, leases; 1 if something fails",
        (
            (
                "--only",
                {
                    "action": "append",
                    "metavar": "START",
                    "help": "only checks whose name starts so, such as `redis`; may be repeated",
                },
            ),
        ),
    ),
}
