"""A trial: load and faults at the same time, then the checker over all that happened."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.support.checker_summary import Summary
from tests.support.client import CarefulClient
from tests.support.judging import Case, judge
from tests.support.load import Load, Wishes
from tests.support.stack import System
from tests.support.stack_faults import Fault, Inflicted, inflict_all


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
    case = Case(
        what=trial.what,
        since=load.began_at,
        drain_seconds=trial.drain_seconds,
        inflicted=inflicted,
        rate=load.rate,
    )
    judged = await judge(system, client, case)
    (keep / "inflicted.json").write_bytes(msgspec.json.encode(inflicted))
    (keep / "violations.json").write_bytes(msgspec.json.encode(judged.violations))
    (keep / "history.json").write_bytes(msgspec.json.encode(judged.history))
    return judged.summary


async def _under_load(system: System, load: Load, trial: Trial) -> list[Inflicted]:
    """The load ends when the faults are over and `count` orders have left, both."""
    async with asyncio.TaskGroup() as group:
        stop = asyncio.Event()
        group.create_task(load.run(stop, at_least=trial.count))
        inflicted = await inflict_all(system, trial.faults, settles=trial.settles)
        stop.set()
    return inflicted
