"""What a caller who waits keeps in a gateway's memory: not the body that was sent."""

import asyncio
import gc
import json
import tracemalloc
from contextlib import AsyncExitStack

import msgspec

from tests.support.accounts_stand_in import LIMITS, AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench
from tests.support.raw_http import RawConnection
from tests.support.waiting import until

WAITERS, BODY_BYTES = 8, 1_500_000


async def test_who_waits_holds_no_body(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    key = await gateway.learn(accounts.issue(limits=msgspec.structs.replace(LIMITS, pending=100)))
    stored = await ledger.count("requests") + WAITERS

    async def are_stored() -> bool:
        return await ledger.count("requests") == stored

    async with AsyncExitStack() as stack:
        waiters = [
            await stack.enter_async_context(await RawConnection.open(gateway.settings.port))
            for _ in range(WAITERS)
        ]
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            await asyncio.gather(*(waiter.send(_submit(key)) for waiter in waiters))
            await until(are_stored)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()

    assert grown < BODY_BYTES


def _submit(key: str) -> bytes:
    content = {"role": "user", "content": "x" * BODY_BYTES}
    body = json.dumps({"model": "m", "messages": [content], "wait": True, "wait_timeout": 60})
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: t",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    return "\r\n".join(lines).encode()
