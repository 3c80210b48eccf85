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
from bench.usage import busy_seconds, cpu_seconds
from deploy.local.programs import ProgramFailed
from deploy.local.site import ROOT

GENERATOR = "generator"


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured once.

    `cpu_ms`: CPU per answer by part, the generator's among them. `batches`: mean sizes, warm-up
    included. `load`: the machine's one-minute load average before it. `others`: the cores that
    everybody else kept busy meanwhile, on average; figures are good where it is near 0.
    """

    answers: int
    seconds: float
    load: float
    others: float
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


class _Meter:
    """CPU used between two moments: `used` by our parts, in seconds, and by others."""

    def __init__(self, system: System) -> None:
        """The first moment."""
        self._system = system
        self._first = _Reading.take(system)
        self._seconds = self._all = 0.0
        self.used: dict[str, float] = {}

    def stop(self) -> None:
        """The second moment."""
        first, last = self._first, _Reading.take(self._system)
        self._seconds, self._all = last.at - first.at, last.everybody - first.everybody
        self.used = {
            part: max(value - first.parts.get(part, 0), 0) for part, value in last.parts.items()
        }

    def others(self, generator_seconds: float = 0) -> float:
        """The cores that others kept busy; the generator says what it used itself."""
        of_others = self._all - sum(self.used.values()) - generator_seconds
        return round(max(of_others, 0) / self._seconds, 3)


class _Reading(msgspec.Struct, frozen=True):
    at: float
    everybody: float
    parts: Mapping[str, float]

    @classmethod
    def take(cls, system: System) -> "_Reading":
        return cls(time.monotonic(), busy_seconds(), cpu_seconds(system.roots))


def measure(system: System, job: Job) -> Measurement:
    """Run one job against the system (or its provider)."""
    load = os.getloadavg()[0]
    batches = system.batches()
    report, meter = _generate(job, system)
    answers = max(report.answers, 1)
    return Measurement(
        answers=report.answers,
        seconds=report.seconds,
        load=load,
        others=meter.others(report.cpu_seconds),
        cpu_ms=_per_answer({**meter.used, GENERATOR: report.cpu_seconds}, answers),
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
    meter, began_at = _Meter(system), time.monotonic()
    system.wait_until_open_is(0)
    seconds = time.monotonic() - began_at
    meter.stop()
    system.wait_for_workers()
    return Measurement(
        answers=left,
        seconds=seconds,
        load=load,
        others=meter.others(),
        cpu_ms=_per_answer(meter.used, max(left, 1)),
        batches=mean_sizes({}, {k: v for k, v in system.batches().items() if "gateway" not in k}),
    )


def measure_idle(system: System, seconds: float) -> dict[str, float]:
    """CPU milliseconds a second by part while nothing is asked: what polling costs."""
    meter = _Meter(system)
    time.sleep(seconds)
    meter.stop()
    return {part: round(value * 1000 / seconds, 1) for part, value in meter.used.items()}


def _generate(job: Job, system: System) -> tuple[Report, _Meter]:
    """Run the generator in its own process; its report, and the CPU of the measured time."""
    command = (sys.executable, "-m", "bench.generator")
    with subprocess.Popen(  # noqa: S603  the command is ours
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise ProgramFailed("the generator has no pipes")
        process.stdin.write(msgspec.json.encode(job))
        process.stdin.close()
        _expect(process.stdout.readline(), BEGUN)
        meter = _Meter(system)
        _expect(process.stdout.readline(), ENDED)
        meter.stop()
        line = process.stdout.readline()
    return msgspec.json.decode(line, type=Report), meter


def _expect(line: bytes, expected: bytes) -> None:
    if line != expected:
        raise ProgramFailed("the generator failed; its error is above")


def _per_answer(seconds: Mapping[str, float], answers: int) -> dict[str, float]:
    """Milliseconds, to a tenth of a microsecond."""
    return {part: round(value * 1000 / answers, 4) for part, value in seconds.items()}
