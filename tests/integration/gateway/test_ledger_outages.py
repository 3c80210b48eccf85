import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.postgresql import PostgreSql
from libs.common.settings import Secret
from libs.ledger import migrations
from libs.ledger.connection import DurabilityMissing
from services.gateway.settings import Settings
from tests.support import servers
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, submission
from tests.support.waiting import until


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgreSql]:
    """A PostgreSQL of these tests' own, to be frozen and killed."""
    with servers.running(PostgreSql) as server:
        yield server


@pytest.fixture
async def own_settings(settings: Settings, own_server: PostgreSql) -> Settings:
    await migrations.upgrade(own_server.url)
    return msgspec.structs.replace(
        settings,
        ledger_url=Secret(own_server.url),
        port=free_ports(),
        internal_port=free_ports(),
    )


@pytest.fixture
async def own_gateway(own_settings: Settings) -> AsyncIterator[Gateway]:
    async with Gateway.running(own_settings) as running:
        yield running


@pytest.mark.alone
async def test_a_frozen_database_is_a_503_within_three_seconds_for_everybody(
    own_gateway: Gateway, own_server: PostgreSql, accounts: AccountsStandIn
) -> None:
    key = accounts.issue()
    assert (await own_gateway.accept(key)).status_code == 200
    own_server.freeze()
    try:
        started = time.perf_counter()
        answers = await own_gateway.flood(key, 150)
        seconds = time.perf_counter() - started
        is_ready = await own_gateway.is_ready()
    finally:
        own_server.thaw()

    assert {answer.status for answer in answers} == {503}
    assert {answer.code for answer in answers} == {"unavailable"}
    assert {answer.headers["retry-after"] for answer in answers} == {"1"}
    assert seconds < 3
    assert not is_ready
    await until(own_gateway.is_ready)
    assert (await own_gateway.accept(key)).status_code == 200


async def test_what_was_refused_in_the_queue_is_not_stored_afterwards(
    own_gateway: Gateway, own_server: PostgreSql, accounts: AccountsStandIn
) -> None:
    key = accounts.issue()
    await own_gateway.accept(key)
    before = int(own_server.execute("SELECT count(*) FROM requests"))
    own_server.freeze()
    try:
        await own_gateway.flood(key, 400)
    finally:
        own_server.thaw()
    await until(own_gateway.is_ready)
    await own_gateway.accept(key)

    stored = int(own_server.execute("SELECT count(*) FROM requests")) - before - 1
    assert stored <= 2 * 64  # the two batches that were under way, at most


@pytest.mark.fault(34)
async def test_a_killed_database_is_a_503_until_it_is_back(
    own_gateway: Gateway, own_server: PostgreSql, accounts: AccountsStandIn
) -> None:
    key = accounts.issue()
    await own_gateway.accept(key)
    own_server.kill()
    refused = await own_gateway.submit(key)
    own_server.start()

    assert refused.status_code == 503

    async def is_back() -> bool:
        return (await own_gateway.submit(key)).status_code == 200

    await until(is_back, seconds=20)


async def test_a_gateway_starts_before_its_database_and_waits_for_it(
    own_settings: Settings, own_server: PostgreSql, accounts: AccountsStandIn
) -> None:
    own_server.stop()
    async with Gateway.starting(own_settings) as gateway:
        await until(gateway.is_alive)
        assert not await gateway.is_ready()
        own_server.start()
        await until(gateway.is_ready)

        assert (await gateway.accept(accounts.issue())).status_code == 200


@pytest.mark.fault(43)
async def test_a_database_that_forgets_is_never_served(
    own_settings: Settings, own_server: PostgreSql
) -> None:
    """PostgreSQL set to write torn pages; it says so after a reload."""
    own_server.execute("ALTER SYSTEM SET full_page_writes = off")
    own_server.execute("SELECT pg_reload_conf()")
    try:
        with pytest.raises(DurabilityMissing):
            async with Gateway.starting(own_settings) as gateway:
                await until(gateway.has_ended)
    finally:
        own_server.execute("ALTER SYSTEM RESET full_page_writes")
        own_server.execute("SELECT pg_reload_conf()")


async def test_a_value_the_database_refuses_fails_nobody_else(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    """The gateway's checks let no such value through, so it is put beside its calls."""
    key = accounts.issue()
    bad = ledger.gateway.accept(submission(model="a\0b"))
    good = [ledger.gateway.accept(submission()) for _ in range(20)]

    answers = await asyncio.gather(bad, *good, return_exceptions=True)
    through = await gateway.flood(await gateway.learn(key), 20)

    assert isinstance(answers[0], Exception)
    assert not any(isinstance(answer, Exception) for answer in answers[1:])
    assert {answer.status for answer in through} == {200}
