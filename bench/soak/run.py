"""One soak: find out what the machine can do, apply a part of it, look on."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import asyncpg
import msgspec
import psutil

from bench import exposition, targets
from bench.generator.job import Callers, Job, Pace
from bench.measuring import GENERATOR_MODULE, Measurement, measure
from bench.soak.figures import Soak
from bench.soak.samples import Sample, Sampler, sampler
from bench.soak.turnover import Turned, Turnover
from bench.system import System

SAMPLE_SECONDS = 5.0
_TURN_SECONDS = 60.0
_LAST_TURN_SECONDS = 150.0
_CALLERS = 128
_CAPACITY_SECONDS = 8.0

Note = Callable[[Sample], None]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How long, and which part of what the machine can do."""

    minutes: float
    share: float


def soak(system: System, wish: Wish, note: Note) -> Soak:
    """All of it; blocks for `wish.minutes` and a little more. ProgramFailed."""
    target = targets.signed(system)
    probe = Callers(_CALLERS, seconds=_CAPACITY_SECONDS, warm_up=2)
    capacity = measure(system, Job(target=target, load=probe)).per_second
    system.wait_until_settled()
    rate = max(round(capacity * wish.share), 1)
    load = Pace(rate, seconds=wish.minutes * 60, warm_up=SAMPLE_SECONDS)
    watched = asyncio.run(_watch(system, Job(target=target, load=load), note))
    system.wait_until_settled()
    return Soak(
        minutes=wish.minutes,
        capacity=round(capacity, 1),
        rate=rate,
        load=watched.load,
        samples=watched.samples,
        turned=watched.turned,
        purged=exposition.purged(system.stack.url("dispatcher-internal")),
        account=system.ledger.account(),
    )


class _Watched(msgspec.Struct, frozen=True):
    load: Measurement
    samples: list[Sample]
    turned: Turned


async def _watch(system: System, job: Job, note: Note) -> _Watched:
    sql = await asyncpg.connect(system.stack.postgresql.database_url("requests"))
    turnover = Turnover(sql)
    try:
        async with sampler(system) as looks:
            load = asyncio.create_task(asyncio.to_thread(measure, system, job))
            turns = asyncio.create_task(_turn(turnover, load))
            samples = await _sample(looks, load, note)
            await turns
        return _Watched(await load, samples, await _last_turn(turnover))
    finally:
        end_load()
        await sql.close()


async def _sample(looks: Sampler, load: "asyncio.Task[Measurement]", note: Note) -> list[Sample]:
    """Look until the load ends."""
    samples: list[Sample] = []
    while not load.done():
        samples.append(await looks.take())
        note(samples[-1])
        await asyncio.wait({load}, timeout=SAMPLE_SECONDS)
    return samples


async def _turn(turnover: Turnover, load: "asyncio.Task[Measurement]") -> None:
    """A day a minute until the load ends."""
    while not load.done():
        await asyncio.wait({load}, timeout=_TURN_SECONDS)
        if not load.done():
            await turnover.step()


async def _last_turn(turnover: Turnover) -> Turned:
    """The dispatcher purges every minute; what was turned last must go too."""
    for _ in range(int(_LAST_TURN_SECONDS / SAMPLE_SECONDS)):
        turned = await turnover.turned()
        if turned.dropped == turned.offered and turned.remade == turned.taken:
            break
        await asyncio.sleep(SAMPLE_SECONDS)
    return turned


def end_load() -> None:
    """The thread of a load that is given up waits for its generator, a child of ours."""
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if GENERATOR_MODULE in child.cmdline():
                child.terminate()
