from collections.abc import AsyncIterator

import pytest

from deploy.local.servers.postgresql import PostgreSql
from tests.support import servers
from tests.support.ledgers import Bench, bench

# What the machine of test_model holds against the ledger is told with its values when it fails.
pytest.register_assert_rewrite("tests.support.ledger_machine")


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(ledger_url) as hands:
        yield hands


@pytest.fixture(scope="module")
async def _one_ledger(postgresql_server: PostgreSql, ledger_template: str) -> AsyncIterator[Bench]:
    with servers.database(postgresql_server, ledger_template) as url:
        async with bench(url) as hands:
            yield hands


@pytest.fixture
async def emptied_ledger(_one_ledger: Bench) -> Bench:
    """One for all tests of a module: to empty it is quicker than to make another."""
    await _one_ledger.forget_everything()
    return _one_ledger
