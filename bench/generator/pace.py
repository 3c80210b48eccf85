"""Open loop: requests at their intended times. A slow answer delays nobody but is seen in full."""

import asyncio
import os
import time
from collections import deque
from ssl import SSLContext
from typing import Final, NamedTuple

from bench.generator import ticks
from bench.generator.job import Pace
from bench.generator.patience import until
from bench.generator.tally import Tally
from bench.generator.wire import Connection, Payload

_MOST_CONNECTIONS = 512
_FIRST_CONNECTIONS = 16
_HEAD_START = 0.05
_EIGHT = 8


class Where(NamedTuple):
    """A host, and how it proves who it is."""

    host: str = "127.0.0.1"
    ssl: SSLContext | None = None


_HERE: Final = Where()


class PaceLoad:
    """Connections are opened as they are needed; the one used last is used first."""

    def __init__(self, plan: Pace, tally: Tally, where: Where = _HERE) -> None:
        """Nothing is sent before `run`."""
        self._plan, self._tally, self._where = plan, tally, where
        self._idle: list[Connection] = []
        self._due: deque[float] = deque()
        self._open = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._unanswered = 0
        self._sent = 0
        self._first_at = self._measured_from = 0.0
        self._address: tuple[int, Payload] = (0, bytes)
        self._is_over = False

    async def run(self, port: int, payload: Payload) -> None:
        """Send and measure; returns when everything sent is answered or given up."""
        self._address = (port, payload)
        for _ in range(_FIRST_CONNECTIONS):
            self._open += 1
            await self._connect()
        self._first_at = time.monotonic() + _HEAD_START
        self._measured_from = self._first_at + self._plan.warm_up
        timer = ticks.start(self._first_at, 1 / self._plan.per_second)
        loop = asyncio.get_running_loop()
        loop.add_reader(timer, self._tick, timer)
        # A head start before the first that counts is due: a loop that is held up then loses none.
        await asyncio.sleep(self._plan.warm_up)
        self._tally.begin()
        await asyncio.sleep(_HEAD_START + self._plan.seconds)
        loop.remove_reader(timer)
        os.close(timer)
        self._tally.fail("no answer in time", await until(lambda: self._unanswered))
        self._tally.end()
        self._is_over = True
        for connection in self._idle:
            connection.close()

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        """See wire.Load."""
        self._unanswered -= 1
        is_due_now = connection.since >= self._measured_from
        latency = time.monotonic() - connection.since
        self._tally.count(latency, status, body, is_measured=is_due_now)
        self._free(connection)

    def lost(self, connection: Connection) -> None:
        """See wire.Load. A server may close what is idle."""
        self._open -= 1
        if connection.is_busy:
            self._unanswered -= 1
            self._tally.fail("connection lost")
        elif connection in self._idle and not self._is_over:
            self._idle.remove(connection)

    def _tick(self, timer: int) -> None:
        """Send what is due; more than one request when the loop was held up."""
        count = int.from_bytes(os.read(timer, _EIGHT), "little")
        for _ in range(count):
            intended_at = self._first_at + self._sent / self._plan.per_second
            self._sent += 1
            self._unanswered += 1
            self._due.append(intended_at)
            if self._idle:
                self._free(self._idle.pop())
            elif self._open < _MOST_CONNECTIONS:
                self._open += 1
                task = asyncio.ensure_future(self._connect())
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        port, payload = self._address
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self, payload), self._where.host, port, ssl=self._where.ssl
        )
        self._free(connection)

    def _free(self, connection: Connection) -> None:
        """Give a free connection the oldest request that is due, if there is one."""
        if not self._due:
            self._idle.append(connection)
            return
        connection.since = self._due.popleft()
        self._tally.lag(time.monotonic() - connection.since)
        connection.send()
