"""Ten thousand callers who wait at one gateway: what they cost, and that all get their answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import msgspec
import psutil
import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.redis import Redis
from libs.common.contracts.gateway import WAKE_UP_CHANNEL, Ended, encode_wake_up
from services.gateway.settings import Settings
from tests.support.accounts_stand_in import LIMITS, AccountsStandIn
from tests.support.gateway_process import running
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, ending
from tests.support.raw_http import RawConnection
from tests.support.waiting import until

WAITERS, REQUESTS, AT_ONCE = 10_000, 100, 500
RESULT = b'{"object":"chat.completion"}'
SECONDS = 6.0

MOST_KILOBYTES_EACH = 40
MOST_IDLE_CPU = 0.3
"""Of one core: every waiter is looked up in the ledger every two seconds, all together."""


@pytest.fixture
async def alone(settings: Settings) -> AsyncIterator[tuple[Gateway, psutil.Process]]:
    """A gateway in a process of its own."""
    own = msgspec.structs.replace(settings, port=free_ports(), internal_port=free_ports())
    async with running(own, "web") as process:
        gateway = Gateway(own)
        async with gateway.client, gateway.internal:
            await until(gateway.is_ready)
            yield gateway, psutil.Process(process.pid)


@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_idle_waiters_cost_little_and_all_get_their_answer(
    alone: tuple[Gateway, psutil.Process],
    accounts: AccountsStandIn,
    ledger: Bench,
    redis_server: Redis,
) -> None:
    count = WAITERS
    gateway, process = alone
    wide = msgspec.structs.replace(LIMITS, running=REQUESTS, requests_per_minute=1_000_000)
    key = await gateway.learn(accounts.issue("live", None, limits=wide))
    ids = [(await gateway.accept(key)).json()["id"] for _ in range(REQUESTS)]
    before = process.memory_info().rss
    async with AsyncExitStack() as stack:
        waiters = [
            await stack.enter_async_context(await RawConnection.open(gateway.settings.port))
            for _ in range(count)
        ]
        # They come over some seconds: each is looked up once before it waits.
        for first in range(0, count, AT_ONCE):
            for number in range(first, first + AT_ONCE):
                await waiters[number].send(_wait(key, ids[number % REQUESTS]))
            await until(lambda: _waiting(gateway, first + AT_ONCE), seconds=60)  # noqa: B023  # called at once
        kilobytes = (process.memory_info().rss - before) / 1024 / count
        idle = await _cpu_share(process)
        fresh = await _fresh_call_seconds(gateway, key)
        woken_at = time.perf_counter()
        await _complete(ledger, accounts, ids)
        for request_id in ids:
            redis_server.command("PUBLISH", WAKE_UP_CHANNEL, encode_wake_up([Ended(request_id)]))
        answers = await asyncio.gather(*(waiter.read() for waiter in waiters))
        seconds = time.perf_counter() - woken_at

    print(  # noqa: T201  # figures for whoever runs it with -s
        f"{count} waiters: {kilobytes:.1f} kB each, {idle:.1%} of a core while idle, "
        f"a fresh call {fresh * 1000:.0f} ms, all answered in {seconds:.1f} s"
    )
    assert {(answer.status, answer.json()["status"]) for answer in answers} == {(200, "completed")}
    assert kilobytes < MOST_KILOBYTES_EACH
    assert idle < MOST_IDLE_CPU
    assert fresh < 0.5


def _wait(key: str, request_id: str) -> bytes:
    lines = [
        f"GET /v1/requests/{request_id}?wait=600 HTTP/1.1",
        "Host: t",
        f"Authorization: Bearer {key}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


async def _waiting(gateway: Gateway, count: int) -> bool:
    text = (await gateway.internal.get("/metrics")).text
    name = "reqrun_gateway_waiting_calls "
    [line] = [line for line in text.splitlines() if line.startswith(name)]
    return float(line.removeprefix(name)) == count


async def _cpu_share(process: psutil.Process) -> float:
    """Of one core, over some seconds in which nobody asks anything."""
    first, began_at = process.cpu_times(), time.monotonic()
    await until(lambda: time.monotonic() - began_at >= SECONDS)
    last = process.cpu_times()
    used = last.user + last.system - first.user - first.system
    return used / (time.monotonic() - began_at)


async def _fresh_call_seconds(gateway: Gateway, key: str) -> float:
    """The median of a few, so that one pause of the machine decides nothing."""
    seconds = []
    for _ in range(9):
        started = time.perf_counter()
        assert (await gateway.submit(key)).status_code == 200
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[4]


async def _complete(ledger: Bench, accounts: AccountsStandIn, ids: Sequence[str]) -> None:
    for claim in await ledger.executor.claim(ids):
        await ledger.finish(accounts.sealed(claim, ending(claim, result=RESULT)))
