"""Clocks are wrong by minutes: nothing that decides who works on what hangs on any but one."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx2
import pytest

from tests.faults.conftest import Judge
from tests.support.checker_sources import drained
from tests.support.client import CarefulClient
from tests.support.clocks import WallClock
from tests.support.orders import calls_since, is_ready, orders, submit_all
from tests.support.signing import signed
from tests.support.stack import System
from tests.support.waiting import until

pytestmark = pytest.mark.slow

PATH: Final = "/v1/chat/completions"
BODY: Final = b'{"model":"sim-ok","messages":[{"role":"user","content":"Hello"}]}'
SHIFTS: Final = [timedelta(minutes=10), timedelta(minutes=-10)]
BEYOND_A_LEASE: Final = "sim-slow-20000ms"


@pytest.fixture
def clock() -> Iterator[WallClock]:
    with WallClock.ready() as ready:
        yield ready


async def start_with(system: System, clock: WallClock, name: str) -> None:
    """A process that looks at this clock; `revive` takes it away again."""
    process = system.process(name)
    await asyncio.to_thread(process.stop)
    clock.give_to(process)
    process.start()
    await asyncio.to_thread(system.stack.wait_until_ready, name)


@pytest.mark.fault(72)
@pytest.mark.parametrize("shift", SHIFTS, ids=["fast", "slow"])
async def test_leases_do_not_hang_on_the_executors_clocks(
    shift: timedelta, clock: WallClock, system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    await start_with(system, clock, "executor")
    await submit_all(client, orders(40))  # both executors have met the project after it
    await drained(system, 30)
    await submit_all(client, orders(40, model=BEYOND_A_LEASE))
    await until(lambda: calls_since(system, since) == 80)

    clock.shift(shift)
    await submit_all(client, orders(40))

    await judge(since, drain_seconds=90)
    assert calls_since(system, since) == 120


@pytest.mark.fault(73)
@pytest.mark.parametrize("shift", SHIFTS, ids=["fast", "slow"])
async def test_a_gateway_whose_clock_is_wrong_refuses_what_is_signed_and_takes_nothing_stale(
    shift: timedelta, clock: WallClock, system: System
) -> None:
    await start_with(system, clock, "gateway")
    wrong, right = system.gateways

    assert await submit_signed(system, wrong) == (200, None)
    clock.shift(shift)
    refused = await submit_signed(system, wrong)
    taken = await submit_signed(system, right)
    stale = await submit_signed(system, right, at=datetime.now(UTC) + shift)
    clock.shift(timedelta())

    assert refused == stale == (401, "stale_timestamp")
    assert taken == (200, None)
    assert await submit_signed(system, wrong) == (200, None)
    await drained(system, 30)


async def submit_signed(
    system: System, gateway: str, at: datetime | None = None
) -> tuple[int, str | None]:
    """Status and error code of a signed call, signed now or at another time."""
    moment = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    secret = system.seeded.signing_secret
    headers = signed(system.seeded.signed_key, "POST", PATH, BODY, secret=secret, timestamp=moment)
    async with httpx2.AsyncClient(base_url=gateway, trust_env=False) as http:
        answer = await http.post(PATH, content=BODY, headers=headers)
    return answer.status_code, answer.json().get("error", {}).get("code")


@pytest.mark.fault(74)
async def test_a_database_clock_that_is_set_back_makes_no_call_twice(
    clock: WallClock, system: System, client: CarefulClient
) -> None:
    server = system.stack.postgresql
    straight = server.process.program
    await asyncio.to_thread(server.stop)
    clock.give_to(server.process)
    try:
        await asyncio.to_thread(server.start)
        for name in ("gateway", "gateway-2", "executor", "executor-2"):
            await until(lambda name=name: is_ready(system, name))  # type: ignore[misc]
        since = datetime.now(UTC)
        sent = await submit_all(client, orders(40, model=BEYOND_A_LEASE))
        await until(lambda: calls_since(system, since) == len(sent))

        clock.shift(timedelta(minutes=-5))
        sent += await submit_all(client, orders(40))
        await until(lambda: calls_since(system, since) == len(sent), 60)
        await drained(system, 60)
        clock.shift(timedelta())
        sent += await submit_all(client, orders(40))
        await drained(system, 60)
    finally:
        await asyncio.to_thread(server.stop)
        server.process.program = straight

    await system.revive()
    states = [await client.read(one.request_id or "") for one in sent]
    assert {one.state for one in states if one is not None} == {"completed"}
    assert None not in states
    assert calls_since(system, since) == len(sent)
