"""The two hands of the ledger as in production: each can do its verbs, and nothing else."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from deploy.local.servers.postgresql import PostgreSql
from libs.ledger import migrations
from libs.ledger.accept import Accepted, Idempotency
from libs.ledger.cancel import Cancelled, Change
from libs.ledger.dispatcher_ledger import DispatcherLedger
from libs.ledger.erase import Erased
from libs.ledger.ledger import ExecutorLedger, GatewayLedger
from libs.ledger.list_requests import ListQuestion
from libs.ledger.look import Question
from libs.ledger.nonces import Nonce
from libs.ledger.orphans import CrashBackoff
from libs.ledger.purge import Purged
from libs.ledger.states import State
from libs.ledger.stats import StatsLimits, StatsRange
from tests.support import servers
from tests.support.ledgers import ending, submission

PASSWORD = secrets.token_urlsafe(12)
OWNER, GATEWAY, EXECUTOR = "reqrun_requests_owner", "reqrun_gateway", "reqrun_executor"

_ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} LOGIN;
    END IF;
END $$;
ALTER ROLE {role} PASSWORD '{password}';
"""


class Addresses:
    """One database, for each role."""

    def __init__(self, server: PostgreSql, name: str) -> None:
        self.gateway, self.executor, self.owner = (
            server.database_url(name, role, PASSWORD) for role in (GATEWAY, EXECUTOR, OWNER)
        )


@pytest.fixture(scope="module")
def template(postgresql_server: PostgreSql) -> Iterator[str]:
    """The name of a ledger that its owner migrated, after the roles were made."""
    server = postgresql_server
    for role in (OWNER, GATEWAY, EXECUTOR):
        server.execute(_ROLE.format(role=role, password=PASSWORD))
    with servers.database(server) as address:
        name = address.rpartition("/")[2]
        server.execute(f'ALTER DATABASE "{name}" OWNER TO {OWNER}')
        asyncio.run(migrations.upgrade(Addresses(server, name).owner))
        yield name


@pytest.fixture
def roles(postgresql_server: PostgreSql, template: str) -> Iterator[Addresses]:
    with servers.database(postgresql_server, template) as address:
        name = address.rpartition("/")[2]
        postgresql_server.execute(f'ALTER DATABASE "{name}" OWNER TO {OWNER}')
        yield Addresses(postgresql_server, name)


@pytest.fixture
async def gateway(roles: Addresses) -> AsyncIterator[GatewayLedger]:
    hand = GatewayLedger(roles.gateway)
    yield hand
    await hand.close()


@pytest.fixture
async def executor(roles: Addresses) -> AsyncIterator[ExecutorLedger]:
    hand = ExecutorLedger(roles.executor, owner="executor-1")
    yield hand
    await hand.close()


@pytest.fixture
async def dispatcher(roles: Addresses) -> AsyncIterator[DispatcherLedger]:
    hand = DispatcherLedger(roles.executor, backoff=CrashBackoff())
    yield hand
    await hand.close()


async def accepted(gateway: GatewayLedger, **changes: object) -> Accepted:
    verdict = await gateway.accept(submission(**changes))
    assert isinstance(verdict, Accepted)
    return verdict


def about(one: Accepted, nonce: str | None = None) -> Change:
    question = Question("prj_a", "live", one.request_id)
    return Change(question, Nonce("key_a", nonce) if nonce else None)


async def test_the_gateway_lists_cancels_and_erases(
    gateway: GatewayLedger, executor: ExecutorLedger
) -> None:
    running, waiting = [await accepted(gateway) for _ in range(2)]
    await executor.claim([running.request_id])

    assert isinstance(await gateway.cancel(about(running, "one")), Cancelled)
    assert isinstance(await gateway.erase(about(waiting, "two")), Erased)
    listed = await gateway.list_requests(ListQuestion(project_id="prj_a", mode="live"))

    assert [one.state for one in listed] == [State.CANCELLED] * 2


async def test_the_gateway_retries_a_failed_request_under_its_key(
    gateway: GatewayLedger, executor: ExecutorLedger
) -> None:
    key = Idempotency("k", b"f")
    first = await accepted(gateway, idempotency=key, nonce="n")
    [claim] = await executor.claim([first.request_id])
    await executor.finish(ending(claim, state=State.FAILED, result=None))

    again = await gateway.accept(submission(retried_from=first.request_id, idempotency=key))

    assert isinstance(again, Accepted)


async def test_the_dispatcher_counts_and_the_gateway_tells_what_was_counted(
    gateway: GatewayLedger, executor: ExecutorLedger, dispatcher: DispatcherLedger
) -> None:
    first, second = [await accepted(gateway) for _ in range(2)]
    [claim] = await executor.claim([first.request_id])
    await executor.finish(ending(claim))

    assert (await dispatcher.roll_up()).counted == 1
    assert await dispatcher.forget_old_rollups() == 0
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    low, high = now - timedelta(days=1), now + timedelta(days=2)
    of = StatsRange(project_id="prj_a", mode="live", step="day", low=low, high=high)
    stats = await gateway.read_stats(of, StatsLimits(20, 10))

    assert [step.completed for step in stats.steps] == [1]
    assert [(one.state, one.n) for one in stats.open] == [(State.QUEUED, 1)]
    assert (await gateway.read_counters("acc_a", 1)).pending == 1
    shown = await gateway.show("prj_a", second.request_id)
    assert shown is not None
    assert shown.state is State.QUEUED
    assert await gateway.reveal(Question("prj_a", "live", first.request_id)) is not None


async def test_the_dispatcher_pauses_resumes_and_erases_a_project(
    gateway: GatewayLedger, dispatcher: DispatcherLedger
) -> None:
    one = await accepted(gateway, idempotency=Idempotency("k", b"f"))

    assert await dispatcher.pause("prj_a") == 1
    assert await dispatcher.pause("prj_new") == 0
    await dispatcher.resume("prj_a")
    await dispatcher.release()
    assert [ids async for ids in dispatcher.erase_project("prj_a")] == [[one.request_id]]
    assert (await dispatcher.measure_drift()).slots == 0


async def test_the_dispatcher_purges_and_makes_partitions(
    roles: Addresses, gateway: GatewayLedger, dispatcher: DispatcherLedger
) -> None:
    await accepted(gateway, idempotency=Idempotency("k", b"f"), nonce="n")
    day = datetime.now(UTC).date()
    sql = await asyncpg.connect(roles.owner)
    for statement in (
        "UPDATE nonces SET expires_at = now()",
        "DROP TABLE body_keys_" + f"{day + timedelta(days=50):%Y%m%d}",
    ):
        await sql.execute(statement)
    for table, column in (
        ("bodies", "expires_on"),
        ("body_keys", "expires_on"),
        ("idempotency_keys", "expires_on"),
        ("requests", "body_expires_on"),
        ("live", "body_expires_on"),
    ):
        await sql.execute(f"UPDATE {table} SET {column} = $1", day)  # noqa: S608  # constants
    await sql.close()

    assert await dispatcher.make_partitions() == 1
    assert await dispatcher.purge() == Purged(nonces=1, moved=1, partitions=2)


@pytest.mark.parametrize(
    "forbidden",
    [
        "UPDATE live SET state = 'queued'",
        "UPDATE live SET slot_at = now()",
        "UPDATE requests SET project_id = 'prj_b'",
        "UPDATE requests SET body_expires_on = current_date",
        "UPDATE results SET state = 'completed'",
        "DELETE FROM results",
        "DELETE FROM requests",
        "DELETE FROM nonces",
        "UPDATE nonces SET expires_at = now()",
        "UPDATE bodies SET content = ''",
        "UPDATE body_keys SET secret = ''",
        "UPDATE attempts SET outcome = 'completed'",
        "DELETE FROM attempts",
        "DELETE FROM outbox",
        "SELECT * FROM outbox",
        "SELECT body FROM outbox",
        "UPDATE cooldowns SET until = now()",
        "UPDATE rollups SET completed = 0",
        "DELETE FROM model_rollups",
        "UPDATE rollup_progress SET floor = 1",
        "SELECT roll_up_v1(1)",
        "DELETE FROM account_counters",
        "INSERT INTO erasures VALUES ('prj_a', 'acc_a')",
        "SELECT retire_requests_v1('{}', '{}', '{}', 1)",
        "SELECT forget_requests_v1('prj_a', 'live', 1)",
        "SELECT end_erasure_v1('prj_a')",
        "TRUNCATE live",
        "SELECT make_body_partitions_v3(70)",
        "SELECT drop_body_partition_v1('bodies', current_date)",
        "DROP TABLE bodies_default",
        "CREATE TABLE mine (id integer)",
    ],
)
async def test_the_gateway_can_do_nothing_else(roles: Addresses, forbidden: str) -> None:
    await refused(roles.gateway, forbidden)


@pytest.mark.parametrize(
    "forbidden",
    [
        "INSERT INTO live SELECT * FROM live",
        "INSERT INTO requests SELECT * FROM requests",
        "UPDATE requests SET project_id = 'prj_b'",
        "DELETE FROM requests",
        "UPDATE results SET state = 'completed'",
        "DELETE FROM results",
        "DELETE FROM attempts",
        "UPDATE bodies SET content = ''",
        "UPDATE body_keys SET secret = ''",
        "INSERT INTO body_keys SELECT * FROM body_keys",
        "INSERT INTO nonces SELECT * FROM nonces",
        "UPDATE idempotency_keys SET request_id = ''",
        "INSERT INTO idempotency_keys SELECT * FROM idempotency_keys",
        "DELETE FROM project_counters",
        "DELETE FROM rollup_progress",
        "INSERT INTO rollup_progress DEFAULT VALUES",
        "DELETE FROM erasures",
        "TRUNCATE bodies",
        "DROP TABLE bodies_default",
        "CREATE TABLE mine (id integer)",
    ],
)
async def test_the_executor_can_do_nothing_else(roles: Addresses, forbidden: str) -> None:
    await refused(roles.executor, forbidden)


async def test_the_dispatcher_retires_and_forgets_by_functions_that_check_what_they_delete(
    gateway: GatewayLedger, executor: ExecutorLedger, dispatcher: DispatcherLedger, roles: Addresses
) -> None:
    accepted = await gateway.accept(submission())
    assert isinstance(accepted, Accepted)
    [claim] = await executor.claim([accepted.request_id])
    await executor.finish(ending(claim))
    sql = await asyncpg.connect(roles.executor)
    retired = await sql.fetchval("SELECT retire_requests_v1('{prj_a}', '{live}', '{rr_~}', 100)")
    forgotten = await sql.fetchval("SELECT forget_requests_v1('prj_a', 'live', 100)")
    await sql.close()
    assert (retired, forgotten) == (0, 0)

    await dispatcher.ask_to_forget("acc_a", ["prj_a"])
    assert [ids async for ids in dispatcher.forget_asked()] == []

    question = Question("prj_a", "live", accepted.request_id)
    assert await gateway.look(question) is None


async def refused(address: str, statement: str) -> None:
    sql = await asyncpg.connect(address)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await sql.execute(statement)
    finally:
        await sql.close()
