"""Processes that die at crash points, one after the other, under callers who insist."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from tests.support.client import CarefulClient
from tests.support.load import Load, Wishes
from tests.support.stack import System
from tests.support.stack_faults import Inflicted
from tests.support.waiting import until

DEATH_SECONDS: Final = 60.0

MODELS: Final = {"sim-ok": 4, "sim-slow-50ms": 2, "sim-slow-300ms": 3, "sim-500-once": 1}
"""Some of them wait for a slot again, so that the dispatcher has something to give."""

WISHES: Final = Wishes(
    seed=1, rate=40, models=MODELS, wait_share=0.5, test_share=0, gateways=2, insists=True
)


class Death(msgspec.Struct, frozen=True):
    """Where a process is to die: the nth time it comes there."""

    point: str
    nth: int = 1


class Story(msgspec.Struct, frozen=True):
    """What happened: when the load began, how many orders there were, and who died when."""

    began_at: datetime
    orders: int
    inflicted: Sequence[Inflicted]


async def die(system: System, process: str, deaths: Sequence[Death]) -> Inflicted:
    """Let a process die all these deaths, and then run as it should.

    They count as one fault: a process that dies again and again is down until it stays up.
    AssertionError where it lives on, or ends in another way than by SIGKILL.
    """
    died_at = []
    for death in deaths:
        await system.begin(process, {"CRASH_AT": f"{death.point}:{death.nth}"})
        await until(lambda: system.exit_code(process) is not None, DEATH_SECONDS)
        assert system.exit_code(process) == -signal.SIGKILL, death
        died_at.append(datetime.now(UTC))
    await system.restart(process)
    return Inflicted(process, "kill", died_at[0], died_at[-1] - died_at[0], datetime.now(UTC))


Scene = Mapping[str, Sequence[Death]]
"""Which deaths each process dies, all processes at the same time."""


async def die_under_load(system: System, client: CarefulClient, scenes: Sequence[Scene]) -> Story:
    """One scene after the other, while orders come."""
    load, stop = Load(client, WISHES), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        calling = group.create_task(load.run(stop))
        inflicted = [one for scene in scenes for one in await _play(system, scene)]
        stop.set()
        await calling
    orders = len({sent.number for sent in client.sent})
    return Story(load.began_at, orders, inflicted)


async def _play(system: System, scene: Scene) -> list[Inflicted]:
    async with asyncio.TaskGroup() as group:
        dying = [group.create_task(die(system, name, some)) for name, some in scene.items()]
    return [task.result() for task in dying]
