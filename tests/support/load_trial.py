"""A trial: load and faults at the same time, then the checker over all that happened."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from tests.support.checker import check
from tests.support.checker_sources import collect, drained
from tests.support.checker_summary import Run, Summary, summarize
from tests.support.client import CarefulClient, Sent
from tests.support.load import Load, Wishes
from tests.support.stack import System
from tests.support.stack_faults import Fault, Inflicted, inflict_all

EXPECTED: Final[Mapping[str, str]] = {"sim-400": "failed"}
_READERS: Final = 32
_REFUSED: Final = 10


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """`faults` under `wishes`; the load goes on for `count` orders and at least as long as they.

    `drain_seconds`: how long everything may take to become final after the last of both.
    `settles`: see inflict_all.
    """

    what: str
    wishes: Wishes
    faults: Sequence[Fault] = ()
    count: int = 0
    drain_seconds: float = 60.0
    settles: bool = False


async def run_trial(system: System, client: CarefulClient, trial: Trial, keep: Path) -> Summary:
    """Run it; the history and all violations are written to `keep`."""
    load = Load(client, trial.wishes)
    inflicted = await _under_load(system, load, trial)
    with suppress(AssertionError):  # what is left over is for the checker to tell
        await drained(system, trial.drain_seconds)
    await read_back(client)
    history = msgspec.structs.replace(
        await collect(system, client, load.began_at),
        faults=[(one.began_at, one.ended_at) for one in inflicted],
    )
    violations = check(history, EXPECTED)
    (keep / "inflicted.json").write_bytes(msgspec.json.encode(inflicted))
    (keep / "violations.json").write_bytes(msgspec.json.encode(violations))
    (keep / "history.json").write_bytes(msgspec.json.encode(history))
    run = Run(
        what=trial.what,
        rate=load.rate,
        history=history,
        violations=violations,
        inflicted=inflicted,
    )
    return summarize(run)


async def _under_load(system: System, load: Load, trial: Trial) -> list[Inflicted]:
    """The load ends when the faults are over and `count` orders have left, both."""
    async with asyncio.TaskGroup() as group:
        stop = asyncio.Event()
        group.create_task(load.run(stop, at_least=trial.count))
        inflicted = await inflict_all(system, trial.faults, settles=trial.settles)
        stop.set()
    return inflicted


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
