"""One measurement: the generator's report joined with what the system used meanwhile."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping

import msgspec

from bench.exposition import mean_sizes
from bench.generator.job import BEGUN, ENDED, Job, Report
from bench.system import System
from bench.usage import cpu_seconds
from deploy.local.programs import ProgramFailed
from deploy.local.site import ROOT

GENERATOR = "generator"


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured once.

    `cpu_ms`: CPU per answer by part, the generator's among them. `batches`: mean sizes, warm-up
    included. `load`: the machine's one-minute load average before it.
    """

    answers: int
    seconds: float
    load: float
    cpu_ms: Mapping[str, float] = msgspec.field(default_factory=dict)
    batches: Mapping[str, float] = msgspec.field(default_factory=dict)
    failures: Mapping[str, int] = msgspec.field(default_factory=dict)
    latencies: Mapping[int, int] = msgspec.field(default_factory=dict)
    lags: Mapping[int, int] = msgspec.field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    @property
    def system_cpu_ms(self) -> float:
        """Of all our processes and servers; the generator and the provider are not ours."""
        return sum(ms for part, ms in self.cpu_ms.items() if part not in (GENERATOR, "provider"))


def measure(system: System, job: Job) -> Measurement:
    """Run one job against the system (or its provider)."""
    load = os.getloadavg()[0]
    batches = system.batches()
    report, used = _generate(job, system)
    answers = max(report.answers, 1)
    return Measurement(
        answers=report.answers,
        seconds=report.seconds,
        load=load,
        cpu_ms=_per_answer({**used, GENERATOR: report.cpu_seconds}, answers),
        batches=mean_sizes(batches, system.batches()),
        failures=report.failures,
        latencies=report.latencies,
        lags=report.lags,
    )


def measure_drain(system: System, backlog: int) -> Measurement:
    """Start the workers and time the backlog from its first finished request to its last."""
    load = os.getloadavg()[0]
    system.start_workers()
    left = system.wait_until_open_is(backlog - 1)
    before, began_at = cpu_seconds(system.roots), time.monotonic()
    system.wait_until_open_is(0)
    seconds = time.monotonic() - began_at
    used = _differences(before, cpu_seconds(system.roots))
    system.wait_for_workers()
    return Measurement(
        answers=left,
        seconds=seconds,
        load=load,
        cpu_ms=_per_answer(used, max(left, 1)),
        batches=mean_sizes({}, {k: v for k, v in system.batches().items() if "gateway" not in k}),
    )


def measure_idle(system: System, seconds: float) -> dict[str, float]:
    """CPU milliseconds a second by part while nothing is asked: what polling costs."""
    before = cpu_seconds(system.roots)
    time.sleep(seconds)
    used = _differences(before, cpu_seconds(system.roots))
    return {part: value * 1000 / seconds for part, value in used.items()}


def _generate(job: Job, system: System) -> tuple[Report, dict[str, float]]:
    """Run the generator in its own process; its report, and the CPU used in the measured time."""
    command = (sys.executable, "-m", "bench.generator")
    with subprocess.Popen(  # noqa: S603  the command is ours
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise ProgramFailed("the generator has no pipes")
        process.stdin.write(msgspec.json.encode(job))
        process.stdin.close()
        _expect(process.stdout.readline(), BEGUN)
        before = cpu_seconds(system.roots)
        _expect(process.stdout.readline(), ENDED)
        used = _differences(before, cpu_seconds(system.roots))
        line = process.stdout.readline()
    return msgspec.json.decode(line, type=Report), used


def _expect(line: bytes, expected: bytes) -> None:
    if line != expected:
        raise ProgramFailed("the generator failed; its error is above")


def _differences(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {part: seconds - before.get(part, 0) for part, seconds in after.items()}


def _per_answer(seconds: Mapping[str, float], answers: int) -> dict[str, float]:
    """Milliseconds; a part that ended and began again meanwhile reads as nothing."""
    return {part: max(value, 0) * 1000 / answers for part, value in seconds.items()}
