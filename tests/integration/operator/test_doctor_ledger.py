"""Doctor's checks of the ledger, against rows that were left as only a fault leaves them."""

from collections.abc import AsyncIterator

import pytest

from deploy.operator.doctor import ledger as checks
from deploy.operator.doctor.check import Finding, State, examine
from deploy.operator.doctor.servers import Server
from libs.common.settings import Secret
from tests.support.ledgers import Bench, bench


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(ledger_url) as hands:
        yield hands


async def look(ledger: Bench) -> dict[str, Finding]:
    server = Server("requests", Secret(ledger.url))
    report = await examine(list(checks.checks(server)), lambda _: None, seconds=30)
    await server.close()
    return {one.check.removeprefix("ledger: "): one for one in report.findings}


async def test_a_new_ledger_is_well(ledger: Bench) -> None:
    found = await look(ledger)

    assert {one.state for one in found.values()} == {State.OK}


async def test_a_lease_that_ended_a_moment_ago_is_a_warning(ledger: Bench) -> None:
    claim = await ledger.claimed()
    await ledger.expire_lease(claim.request_id)

    assert (await look(ledger))["leases"].state is State.WARN


async def test_a_lease_that_nobody_takes_fails(ledger: Bench) -> None:
    claim = await ledger.claimed()
    await ledger.shift(claim.request_id, 120)

    found = await look(ledger)

    assert found["leases"].state is State.FAIL
    assert found["leases"].says.startswith("1 of 1 ended, the oldest 10")
    assert found["dispatcher's lag"].state is State.FAIL


async def test_a_row_that_was_forgotten_fails(ledger: Bench) -> None:
    accepted = await ledger.accept()
    await ledger.shift(accepted.request_id, 700)

    found = (await look(ledger))["dispatcher's lag"]

    assert found.state is State.FAIL
    assert found.says.startswith("1 rows are over ten minutes late")


async def test_a_counter_that_differs_fails(ledger: Bench) -> None:
    await ledger.accept()
    await ledger.sql.execute("UPDATE account_counters SET pending = pending + 1")

    found = (await look(ledger))["counters"]
    await ledger.sql.execute("UPDATE account_counters SET pending = pending - 1")

    assert found.state is State.FAIL
    assert found.says.startswith("1 of accounts and 0 of projects differ")


async def test_days_that_run_out_are_told_in_time(ledger: Bench) -> None:
    rows = await ledger.sql.fetch(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'bodies'::regclass AND c.relname ~ '_[0-9]{8}$' ORDER BY 1"
    )
    for row in rows[10:]:
        await ledger.sql.execute(f'DROP TABLE "{row["relname"]}"')

    assert (await look(ledger))["days ahead"].state is State.FAIL
