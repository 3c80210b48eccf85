"""Each wait ends at its own time, whatever else waits: one clock, no queue that keeps an order."""

import time
from datetime import timedelta

import pytest

from libs.ledger.give_back import GiveBack
from tests.support.ledgers import Bench
from tests.support.waiting import until

LONG = timedelta(minutes=10)
SHORT = timedelta(seconds=1)
LATE = timedelta(seconds=2)


@pytest.mark.alone
@pytest.mark.fault(28)
async def test_short_waits_behind_long_ones_end_on_time(ledger: Bench) -> None:
    ids = await ledger.fill_accepted(400, running_limit=500)
    claims = await ledger.claim(*ids)
    short = {one.request_id for one in claims[-20:]}
    began = time.monotonic()
    await ledger.executor.give_back(
        [
            GiveBack(one.request_id, one.fence, SHORT if one.request_id in short else LONG)
            for one in claims
        ]
    )

    released: dict[str, float] = {}

    async def are_released() -> bool:
        for hint in await ledger.dispatcher.release():
            released[hint.request_id] = time.monotonic() - began
        return len(released) >= len(short)

    await until(are_released)

    assert released.keys() == short
    assert min(released.values()) >= SHORT.total_seconds()
    assert max(released.values()) <= (SHORT + LATE).total_seconds()
    assert await ledger.dispatcher.release() == []
