from collections.abc import AsyncIterator

import pytest

from tests.support.ledgers import Bench, bench


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(ledger_url) as hands:
        yield hands
