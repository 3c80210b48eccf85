"""Closed loop: callers that send their next request when they have their answer."""

import asyncio
import time

from bench.generator.job import Callers
from bench.generator.patience import until
from bench.generator.tally import Tally
from bench.generator.wire import Connection, Payload


class CallerLoad:
    """A fixed number of callers, each on its own connection."""

    def __init__(self, plan: Callers, tally: Tally) -> None:
        """Nothing is sent before `run`."""
        self._plan, self._tally = plan, tally
        self._connections: list[Connection] = []
        self._left = plan.count
        self._is_stopping = False
        self._under_way = 0

    async def run(self, port: int, payload: Payload) -> None:
        """Send and measure; returns when everything sent is answered or given up."""
        loop = asyncio.get_running_loop()
        for _ in range(self._plan.callers):
            _, connection = await loop.create_connection(
                lambda: Connection(self, payload), "127.0.0.1", port
            )
            self._connections.append(connection)
        await (self._run_count() if self._plan.count is not None else self._run_seconds())
        self._is_stopping = True
        for connection in self._connections:
            connection.close()

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        """See wire.Load."""
        self._under_way -= 1
        self._tally.count(time.perf_counter() - connection.since, status, body)
        self._send(connection)

    def lost(self, connection: Connection) -> None:
        """See wire.Load. A caller that loses its connection is gone; the run then fails anyway."""
        if connection.is_busy:
            self._under_way -= 1
            self._tally.fail("connection lost")
        elif not self._is_stopping:
            self._tally.fail("connection closed")

    async def _run_count(self) -> None:
        self._tally.begin()
        self._start()
        self._tally.fail("no answer in time", await until(lambda: self._under_way))
        self._tally.end()

    async def _run_seconds(self) -> None:
        self._start()
        await asyncio.sleep(self._plan.warm_up)
        self._tally.begin()
        await asyncio.sleep(self._plan.seconds)
        self._tally.end()
        self._is_stopping = True
        self._tally.fail("no answer in time", await until(lambda: self._under_way))

    def _start(self) -> None:
        for connection in self._connections:
            self._send(connection)

    def _send(self, connection: Connection) -> None:
        if self._is_stopping or self._left == 0:
            return
        if self._left is not None:
            self._left -= 1
        self._under_way += 1
        connection.since = time.perf_counter()
        connection.send()
