"""What the runbook tells an operator to type works, and what it names is there."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aio_pika
import asyncpg
import pytest

from deploy.keys import commands as keys
from deploy.local.programs import run_once
from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.rabbitmq import RabbitMq
from deploy.operator import table
from libs.common.broker.topology import BILLING_REQUESTS, PARKED
from services.accounts import app as accounts
from tests.support import desks, queues
from tests.support.desks import AtDesk
from tests.support.service_database import ServiceDatabase

ROOT: Final = Path(__file__).parents[3]
RUNBOOK: Final = (ROOT / "docs" / "runbook.md").read_text()
BLOCKS: Final = re.findall(r"```sql\n-- database: (\w+)\n(.*?)```", RUNBOOK, re.DOTALL)
COMMANDS: Final = sorted(set(re.findall(r"(?:`|^)reqrun ([a-z][^`\n]*)", RUNBOOK, re.MULTILINE)))
OTHERS_WORDS: Final = frozenset(
    {"synchronous_commit", "max_connections", "container_cpu_cfs_throttled_periods_total"}
)


def statements(database: str) -> list[str]:
    found = [text for name, block in BLOCKS if name == database for text in block.split(";\n")]
    return [text for text in found if re.sub(r"--.*", "", text).strip()]


async def run(address: str, asked: list[str]) -> int:
    """All of them, where nothing can be changed."""
    connection = await asyncpg.connect(
        address, server_settings={"default_transaction_read_only": "on"}
    )
    try:
        for statement in asked:
            await connection.fetch(statement)
    finally:
        await connection.close()
    return len(asked)


async def test_questions_to_the_ledger_have_answers(ledger_url: str) -> None:
    assert await run(ledger_url, [*statements("requests"), *statements("any")]) > 10


@pytest.fixture(scope="module")
async def accounts_database(postgresql_server: PostgreSql) -> AsyncIterator[str]:
    made = ServiceDatabase(postgresql_server, "accounts")
    await made.create(accounts.VERSIONS)
    with made.lent() as address:
        yield address
    made.drop()


async def test_questions_to_the_database_of_accounts_have_answers(accounts_database: str) -> None:
    assert await run(accounts_database, [*statements("accounts"), *statements("any")]) > 1


def test_every_block_says_which_database_it_is_for() -> None:
    assert len(BLOCKS) == RUNBOOK.count("```sql")
    assert {name for name, _ in BLOCKS} <= {"requests", "accounts", "any"}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_is_one_that_there_is(words: str) -> None:
    assert table.parser().parse_args(shlex.split(words.rstrip("."))).call is not None


def test_commands_are_given_to_one_program_alone() -> None:
    """A migration is the service's own: it runs before anything that could be asked."""
    assert len(COMMANDS) > 15
    assert set(re.findall(r"python -m services\.(\w+ \w+)", RUNBOOK)) == {"gateway migrate"}


def test_the_check_of_keys_is_one_that_there_is() -> None:
    [typed] = re.findall(r"python -m deploy\.keys (check[^\n]*)", RUNBOOK)

    assert keys.parser().parse_args(shlex.split(typed)) is not None


def test_events_fields_and_metrics_that_are_named_are_in_the_code() -> None:
    sources = "\n".join(
        path.read_text()
        for folder in ("libs", "services")
        for suffix in ("*.py", "*.sql")
        for path in sorted((ROOT / folder).rglob(suffix))
    )
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", RUNBOOK))

    assert len(named) > 30
    # Settings are fields there, and variables in capitals here.
    named |= {name.lower() for name in re.findall(r"`(?:REQRUN_)?([A-Z]+(?:_[A-Z]+)*)`", RUNBOOK)}
    assert {name for name in named if name.removesuffix("_total") not in sources} <= OTHERS_WORDS


def typed(program: str) -> list[list[str]]:
    """The lines of the runbook that begin with it; what a shell would make of them."""
    blocks = "".join(re.findall(r"```sh\n(.*?)```", RUNBOOK, re.DOTALL))
    return [
        shlex.split(line.partition(" | ")[0])[1:]
        for line in blocks.splitlines()
        if line.startswith(f"{program} ")
    ]


async def test_what_was_parked_is_read_again(rabbitmq_server: RabbitMq) -> None:
    """And every other line for RabbitMQ does what it says, or at least something."""
    await queues.reset(rabbitmq_server.url)
    async with await aio_pika.connect(rabbitmq_server.url) as connection:
        parking = await (await connection.channel()).get_exchange(PARKED)
        for _ in range(3):
            await parking.publish(aio_pika.Message(b"a fact"), BILLING_REQUESTS)

    for program in ("rabbitmq-diagnostics", "rabbitmqctl"):
        assert typed(program)
        for words in typed(program):
            await asyncio.to_thread(run_once, rabbitmq_server.tool(program, *words))

    desk = AtDesk(desks.of_environment({"REQRUN_BROKER_URL": rabbitmq_server.url}))
    for words in typed("reqrun"):
        if words[0] == "parked":
            await asyncio.to_thread(desk.ask, *words)

    assert await queues.depth(rabbitmq_server.url, BILLING_REQUESTS) == 3
    assert await queues.depth(rabbitmq_server.url, f"{BILLING_REQUESTS}.parked") == 0
    await queues.reset(rabbitmq_server.url)
