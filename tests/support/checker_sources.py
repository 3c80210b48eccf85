"""Reads the witnesses of a real system: the provider's call log and the two databases."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import asyncpg
import msgspec

from libs.ledger.dispatcher_ledger import DispatcherLedger
from libs.ledger.orphans import CrashBackoff
from tests.support.checker import Attempt, Call, End, History, Stored
from tests.support.client import CarefulClient
from tests.support.stack import System
from tests.support.waiting import until

# Everything is of the requests that were accepted since a moment ($1).
_SINCE = "request_id IN (SELECT id FROM requests WHERE created_at >= $1)"
_STORED = "SELECT id AS request_id, mode, model, created_at FROM requests WHERE created_at >= $1"
_END = """request_id, state, attempts, finished_at,
    ARRAY[prompt_tokens, completion_tokens, total_tokens] AS tokens
"""
_ENDS = f"SELECT {_END} FROM results WHERE {_SINCE}"  # noqa: S608  constants only, here and below
_USAGE = f"SELECT {_END} FROM usage_records WHERE created_at >= $1"  # noqa: S608
_ATTEMPTS = f"""
SELECT request_id, number, fence, outcome, started_at, finished_at FROM attempts WHERE {_SINCE}
"""  # noqa: S608
_BODIES = f"""
SELECT request_id, count(*) AS kept FROM bodies WHERE kind = 'result' AND {_SINCE}
GROUP BY request_id
"""  # noqa: S608
_OPEN = "SELECT count(*) FROM live"
_UNSENT = "SELECT count(*) FROM outbox WHERE sent_at IS NULL"
_DUE_USAGE = "SELECT count(*) FROM results WHERE mode = 'live'"
_KEPT_USAGE = "SELECT count(*) FROM usage_records"


class _Line(msgspec.Struct):
    """One line of the simulator's call log; the end of a call repeats its start."""

    event: str
    number: int
    client_request_id: str
    started_at: datetime
    finished_at: datetime | None = None
    status_code: int | None = None
    ended: str | None = None


class _CallLog:
    """A log that only grows: hours of calls would take longer to read than a test's call lasts."""

    def __init__(self, path: Path) -> None:
        self._path, self._read_to, self._reading = path, 0, Lock()
        self._calls: dict[tuple[str, int], Call] = {}

    def read(self) -> list[Call]:
        """Every call so far."""
        with self._reading:
            if self._path.exists():
                self._read_on()
            return list(self._calls.values())

    def _read_on(self) -> None:
        with self._path.open("rb") as log:
            log.seek(self._read_to)
            fresh, _, _ = log.read().rpartition(b"\n")  # the last line may be under way
        self._read_to += len(fresh) + 1 if fresh else 0
        for text in fresh.splitlines():
            line = msgspec.json.decode(text, type=_Line)
            request_id, _, fence = line.client_request_id.rpartition("-")
            self._calls[line.client_request_id, line.number] = Call(
                number=line.number,
                request_id=request_id,
                fence=int(fence),
                started_at=line.started_at,
                finished_at=line.finished_at,
                status_code=line.status_code,
                ended=line.ended,
            )


_log: Final = cache(_CallLog)


def read_calls(log: Path) -> list[Call]:
    """Every call that the provider received, in order of arrival."""
    return _log(log).read()


async def ask(url: str, question: str, *values: object) -> list[asyncpg.Record]:
    """One statement's rows, over a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(question, *values)
        return rows
    finally:
        await connection.close()


async def count(url: str, question: str) -> int:
    """As `ask`, for one number."""
    return int((await ask(url, question))[0][0])


async def drained(system: System, seconds: float) -> None:
    """Return once nothing is open, unsent or unbilled; AssertionError when `seconds` are over."""
    await until(lambda: is_drained(system), seconds)


async def is_drained(system: System) -> bool:
    """Whether nothing is open, unsent or unbilled."""
    requests, billing = system.database_url("requests"), system.database_url("billing")
    if await count(requests, _OPEN) or await count(requests, _UNSENT):
        return False
    return await count(billing, _KEPT_USAGE) >= await count(requests, _DUE_USAGE)


async def collect(system: System, client: CarefulClient, since: datetime) -> History:
    """The history of all requests accepted since a moment, read after `drained`."""
    requests, billing = system.database_url("requests"), system.database_url("billing")
    bodies = await ask(requests, _BODIES, since)
    return History(
        sent=client.sent,
        readings=client.readings,
        calls=[call for call in read_calls(system.call_log) if call.started_at >= since],
        stored=_by_request(await ask(requests, _STORED, since), Stored),
        finals=_by_request(await ask(requests, _ENDS, since), End),
        attempts=msgspec.convert(_plain(await ask(requests, _ATTEMPTS, since)), list[Attempt]),
        result_bodies={row["request_id"]: row["kept"] for row in bodies},
        usage=_by_request(await ask(billing, _USAGE, since), End),
        drift=await _drift(requests),
        open_rows=await count(requests, _OPEN),
        unsent_events=await count(requests, _UNSENT),
    )


async def _drift(url: str) -> int:
    ledger = DispatcherLedger(url, backoff=CrashBackoff())
    try:
        drift = await ledger.measure_drift()
    finally:
        await ledger.close()
    return drift.pending + drift.slots + drift.strays


def _by_request(rows: Sequence[asyncpg.Record], kind: Any) -> Mapping[str, Any]:
    made = msgspec.convert(_plain(rows), list[kind])
    return {one.request_id: one for one in made}


def _plain(rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]
