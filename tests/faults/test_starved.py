"""A process lacks what every process takes for granted: descriptors, a reader of its logs."""

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socket import create_connection
from typing import Final
from urllib.parse import urlsplit

import msgspec
import psutil
import pytest

from tests.faults.conftest import Judge
from tests.support.client import CarefulClient
from tests.support.orders import FIRST, SECOND, is_ready, orders, submit_all
from tests.support.stack import System
from tests.support.waiting import until

STRANGERS: Final = 25
SPARE: Final = 20
ON_THE_WAY: Final = ("gateway", "executor", "dispatcher")


@pytest.mark.fault(87)
async def test_a_gateway_without_descriptors_goes_on_for_who_is_connected_and_recovers(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    await submit_all(client, orders(10, FIRST))
    address = urlsplit(system.gateways[0])

    with few_descriptors(system, "gateway"), ExitStack() as stack:

        def is_full() -> bool:
            """After some more strangers: callers of before may have left, and made room."""
            for _ in range(STRANGERS):
                stack.enter_context(create_connection((address.hostname, address.port), timeout=5))
            return free_descriptors(system, "gateway") == 0

        await until(is_full)
        for order in orders(10, FIRST):
            [sent] = await submit_all(client, [order])
            assert sent.gateway == 0
        await submit_all(client, orders(40, SECOND))
        stack.close()
        await until(lambda: is_ready(system, "gateway"))
        await submit_all(client, orders(10, FIRST))

    await judge(since)


@contextmanager
def few_descriptors(system: System, name: str) -> Iterator[None]:
    """Hardly more than it has open now."""
    process = psutil.Process(system.process(name).pid)
    before = process.rlimit(resource.RLIMIT_NOFILE)
    process.rlimit(resource.RLIMIT_NOFILE, (process.num_fds() + SPARE, before[1]))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_NOFILE, before)


def free_descriptors(system: System, name: str) -> int:
    process = psutil.Process(system.process(name).pid)
    return int(process.rlimit(resource.RLIMIT_NOFILE)[0]) - process.num_fds()


@pytest.mark.fault(88)
@pytest.mark.parametrize("how", ["unread", pytest.param("disk-full", marks=pytest.mark.slow)])
async def test_processes_whose_logs_nobody_takes_do_their_work(
    how: str, system: System, client: CarefulClient, judge: Judge, tmp_path: Path
) -> None:
    since = datetime.now(UTC)
    with full_pipe(tmp_path / "pipe") as pipe:
        for name in ON_THE_WAY:
            process = system.process(name)
            await asyncio.to_thread(process.stop)
            log = str(pipe) if how == "unread" else "/dev/full"
            process.program = msgspec.structs.replace(process.program, log=log)
            process.start()
        for name in ON_THE_WAY:
            await asyncio.to_thread(system.stack.wait_until_ready, name)

        sent = await submit_all(client, orders(100, FIRST, is_waiting=True))

        assert {one.state for one in sent} == {"completed"}
        await judge(since)


@contextmanager
def full_pipe(path: Path) -> Iterator[Path]:
    """A named pipe that takes nothing more, and that nobody will read."""
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        with open(descriptor, "wb", buffering=0, closefd=False) as end:
            while end.write(bytes(4_096)):
                pass
        yield path
    finally:
        os.close(descriptor)
