"""Wait until all is final, read it back as its owner would, and hold it against the promise."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import msgspec

from tests.support.checker import History, Violation, check
from tests.support.checker_sources import collect, drained
from tests.support.checker_summary import Run, Summary, summarize
from tests.support.client import CarefulClient, Sent
from tests.support.stack import System
from tests.support.stack_faults import Inflicted

EXPECTED: Final[Mapping[str, str]] = {"sim-400": "failed"}
"""How requests of a model end, where they do not complete."""

_READERS: Final = 32
_REFUSED: Final = 10


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is judged: everything since a moment.

    `drain_seconds`: how long all may take to become final. `inflicted`: None where nobody kept
    account of the faults: then any attempt may have ended unknown. `rate`: orders a second.
    """

    what: str
    since: datetime
    drain_seconds: float = 60.0
    inflicted: Sequence[Inflicted] | None = None
    expected: Mapping[str, str] = msgspec.field(default_factory=lambda: EXPECTED)
    rate: float = 0.0


class Judged(msgspec.Struct, frozen=True):
    """What happened, what of it breaks the promise, and the figures."""

    history: History
    violations: Sequence[Violation]
    summary: Summary


async def judge(system: System, client: CarefulClient, case: Case) -> Judged:
    """Judge everything since the case's moment."""
    with suppress(AssertionError):  # what is left over is for the checker to tell
        await drained(system, case.drain_seconds)
    await read_back(client)
    history = await collect(system, client, case.since)
    if case.inflicted is not None:
        faults = [(one.began_at, one.ended_at) for one in case.inflicted]
        history = msgspec.structs.replace(history, faults=faults)
    violations = check(history, case.expected)
    run = Run(
        what=case.what,
        rate=case.rate,
        history=history,
        violations=violations,
        inflicted=case.inflicted or (),
    )
    return Judged(history, violations, summarize(run))


async def read_back(client: CarefulClient) -> None:
    """Look at every promised request once more, as its owner would."""
    promised = {s.request_id: s for s in client.sent if s.is_accepted}
    waiting = list(promised.values())

    async def read_some() -> None:
        while waiting:
            await _read(client, waiting.pop())

    await asyncio.gather(*(read_some() for _ in range(_READERS)))


async def _read(client: CarefulClient, sent: Sent) -> None:
    assert sent.request_id is not None
    for _ in range(_REFUSED):
        reading = await client.read(sent.request_id, sent.mode, sent.gateway)
        if reading is not None:
            return
    raise AssertionError(f"{sent.request_id} could not be read")
