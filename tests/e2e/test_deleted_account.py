"""A person's account, from sign-up to nothing: three databases, and not a word of theirs in any."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import httpx2
import pytest

from libs.common.settings import Secret, load
from services.accounts import app
from services.accounts.domain.audit import Actor
from services.accounts.domain.keys import NewKey
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from services.accounts.use_cases import connections, deletion, keys, projects
from services.accounts.use_cases.connections import NewConnection
from tests.support import dumps
from tests.support.checker_sources import ask
from tests.support.customers import PASSWORD, customer, mails_to
from tests.support.stack import System
from tests.support.waiting import until

EMAIL: Final = "eve.forgettable@example.org"
NAME: Final = "Eve Forgettable"
WORDS: Final = ("forgettable", "Forgettable", PASSWORD, "203.0.113", "Firefox/140")
DATABASES: Final = ("accounts", "requests", "billing")

pytestmark = pytest.mark.timeout(300)


@asynccontextmanager
async def accounts_ports(system: System) -> AsyncIterator[Ports]:
    """As the dashboard's own process has them."""
    program = system.stack.process("accounts").program
    settings = load(Settings, program.environment)
    async with (
        app.open_database(settings, "test") as db,
        app.open_ports(settings, db) as ports,
    ):
        yield ports


async def do(system: System, database: str, statement: str, *values: object) -> None:
    """What only time does otherwise."""
    sql = await asyncpg.connect(system.database_url(database))
    try:
        await sql.execute(statement, *values)
    finally:
        await sql.close()


async def count(system: System, database: str, query: str, *values: object) -> int:
    rows = await ask(system.database_url(database), query, *values)
    return int(rows[0][0])


class Caller:
    """The account's API key in use."""

    def __init__(self, system: System, key: str) -> None:
        self.url, self.key = system.gateways[0], key

    async def submit(self, number: int) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.key}"}
        body = {
            "model": "forgettable-model",
            "messages": [{"role": "user", "content": "a forgettable prompt"}],
            "idempotency_key": f"forgettable-{number}",
            "wait": True,
        }
        async with httpx2.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as client:
            return await client.post("/v1/chat/completions", headers=headers, json=body)

    async def is_refused(self) -> bool:
        headers = {"authorization": f"Bearer {self.key}"}
        async with httpx2.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as client:
            return (await client.get("/v1/requests", headers=headers)).status_code == 403


async def test_from_sign_up_to_nothing(system: System, tmp_path: Path) -> None:
    async with accounts_ports(system) as ports:
        person = (await customer(ports, EMAIL, NAME)).person
        actor = Actor(person.id)
        project = await projects.create(ports, person.account_id, "forgettable", actor=actor)
        wish = NewConnection(
            project_id=project.id,
            base_url=f"{system.simulator_url}/v1",
            key=Secret("sk-forgettable"),
        )
        await connections.put(ports, wish, actor=actor)
        issued = await keys.issue(
            ports, NewKey(project_id=project.id, mode="live", name="forgettable"), actor=actor
        )
        caller = Caller(system, issued.text)
        assert [(await caller.submit(n)).status_code for n in range(3)] == [200] * 3
        before = whole(system, tmp_path)
        assert found(before, *WORDS[:2]) == {"accounts", "requests", "billing"}

        await deletion.start(ports, person.id, actor=actor)
        await until(caller.is_refused, 30)
        await do(system, "accounts", "UPDATE accounts SET leaves_at = now() WHERE id = $1",
                 person.account_id)  # fmt: skip
        await deletion.carry_out_due(ports)

        await let_others_finish(system, ports, person.account_id)

    after = whole(system, tmp_path)
    assert found(after, *WORDS) == set()
    assert found(after, person.id) == set()
    assert found(after, project.id) == {"accounts"}  # an id, so that executors can be told
    assert re.search(rf"{person.account_id}\t.*\tcompleted\t3\t", after["billing"])


async def let_others_finish(system: System, ports: Ports, account_id: str) -> None:
    """What takes hours, taken in hand: each clock is set back, each worker begins at once."""

    async def is_written_down() -> bool:
        query = "SELECT count(*) FROM erasures WHERE account_id = $1"
        return await count(system, "requests", query, account_id) == 1

    async def is_closed() -> bool:
        query = "SELECT count(*) FROM billing_accounts WHERE account_id = $1 AND closed_at < now()"
        return await count(system, "billing", query, account_id) == 1

    async def is_sent() -> bool:
        return all(mail.sent_at for mail in await mails_to(ports, EMAIL))

    for condition in (is_written_down, is_closed, is_sent):
        await until(condition, 60)
    [receipt] = await mails_to(ports, EMAIL)
    assert receipt.kind == "deleted"
    await do(system, "accounts", "UPDATE mails SET sent_at = sent_at - interval '1 d'")
    await do(
        system, "billing", "UPDATE billing_accounts SET closed_at = closed_at - interval '1 d'"
    )
    await do(system, "requests", "UPDATE erasures SET asked_at = asked_at - interval '1 h'")
    for process in ("dispatcher", "billing-worker", "accounts-worker"):
        await system.restart(process)

    async def is_over() -> bool:
        left = [
            await count(system, "requests", "SELECT count(*) FROM erasures"),
            await count(system, "billing", "SELECT count(*) FROM usage_records"
                        " WHERE account_id = $1", account_id),
            await count(system, "accounts", "SELECT count(*) FROM mails WHERE recipient = $1",
                        EMAIL),
        ]  # fmt: skip
        return not any(left)

    await until(is_over, 90)
    for database in ("accounts", "requests"):  # an hour after they were told
        await do(system, database, "DELETE FROM outbox WHERE sent_at IS NOT NULL")


def whole(system: System, folder: Path) -> dict[str, str]:
    server = system.stack.postgresql
    folder.chmod(0o777)
    return {name: dumps.whole(server, name, folder) for name in DATABASES}


def found(texts: dict[str, str], *words: str) -> set[str]:
    """The databases in which any of these stands, but for what names networks and nobody."""
    return {
        name
        for name, text in texts.items()
        if any(word in _without_signals(text) for word in words)
    }


def _without_signals(text: str) -> str:
    return re.sub(r"COPY public\.abuse_signals .*?\n\\\.\n", "", text, flags=re.DOTALL)
