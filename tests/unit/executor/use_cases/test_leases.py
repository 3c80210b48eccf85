"""What a renewal that finds a lease lost does to the call that ran under it."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from services.executor.use_cases.leases import renew
from services.executor.use_cases.running import Floor, Running


async def test_a_lease_that_is_lost_ends_its_call_and_no_other() -> None:
    async def call() -> None:
        await asyncio.Event().wait()

    async def kept(_: object) -> set[str]:
        return {"rr_ours"}

    ports: Any = SimpleNamespace(ledger=SimpleNamespace(renew=kept))
    floor = Floor(2)
    calls = {}
    for request_id in ("rr_ours", "rr_lost"):
        claim: Any = SimpleNamespace(request_id=request_id, fence=1)
        calls[request_id] = asyncio.create_task(call())
        floor.enter(Running(claim, calls[request_id], time.monotonic()))

    assert await renew(ports, floor)
    await asyncio.wait([calls["rr_lost"]], timeout=5)

    assert calls["rr_lost"].cancelled()
    assert not calls["rr_ours"].done()
    calls["rr_ours"].cancel()
