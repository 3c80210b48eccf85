"""A revoked key stops everywhere within five seconds."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.checker_sources import drained
from tests.support.client import CarefulClient, Order
from tests.support.stack import System
from tests.support.waiting import until

REVOKED_WITHIN = timedelta(seconds=5)


@pytest.mark.fault(84)
async def test_a_revoked_key_stops_within_five_seconds_on_two_gateways_with_warm_caches(
    system: System,
) -> None:
    issued = await asyncio.to_thread(
        system.operate, "keys", "issue", "--project", system.seeded.project_id, "--mode", "live"
    )
    async with CarefulClient(system.gateways, {"live": issued["key"]}) as client:
        stop = asyncio.Event()
        callers = [asyncio.create_task(call_on(client, gateway, stop)) for gateway in (0, 1)]
        for gateway in (0, 1):
            await until(lambda gateway=gateway: accepted(client, gateway) >= 20)  # type: ignore[misc]

        await asyncio.to_thread(system.operate, "keys", "revoke", issued["id"])
        revoked_at = datetime.now(UTC)
        await until(lambda: all(refused(client, gateway) >= 20 for gateway in (0, 1)), 15)

        stop.set()
        await asyncio.gather(*callers)
        last = max(sent.answered_at for sent in client.sent if sent.is_accepted)
        assert last - revoked_at <= REVOKED_WITHIN
        refusals = {one.error for one in client.sent if not one.is_accepted}
        # Who goes on with a key that is not good is soon kept from being looked up at all.
        assert refusals <= {"invalid_api_key", "address_rate_limited"}
        assert "invalid_api_key" in refusals
    await drained(system, 30)


async def call_on(client: CarefulClient, gateway: int, stop: asyncio.Event) -> None:
    """Keep one gateway's cache warm: one request after the other."""
    while not stop.is_set():
        await client.submit(Order(number=len(client.sent), gateway=gateway))


def accepted(client: CarefulClient, gateway: int) -> int:
    return sum(sent.is_accepted and sent.gateway == gateway for sent in client.sent)


def refused(client: CarefulClient, gateway: int) -> int:
    return sum(not sent.is_accepted and sent.gateway == gateway for sent in client.sent)
