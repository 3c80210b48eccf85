"""One measurement: the generator's report joined with what was used meanwhile."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from bench.exposition import mean_sizes
from bench.generator.job import BEGUN, ENDED, Job, Report
from bench.measured import BESIDE, GENERATOR, Measured
from bench.system import System
from bench.usage import busy_seconds, cpu_seconds
from deploy.local.programs import ProgramFailed
from deploy.local.site import ROOT

GENERATOR_MODULE = "bench.generator"
_GENERATOR = (sys.executable, "-m", GENERATOR_MODULE)


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
        """Of all processes and servers of what is measured, not of what runs beside it."""
        return sum(ms for part, ms in self.cpu_ms.items() if part not in BESIDE)


class Meter:
    """CPU used between two moments: `used` by part, in seconds, and by others."""

    def __init__(self, measured: Measured) -> None:
        """The first moment."""
        self._measured = measured
        self._first = _Reading.take(measured)
        self.seconds = self._all = 0.0
        self.used: dict[str, float] = {}

    def stop(self) -> None:
        """The second moment."""
        first, last = self._first, _Reading.take(self._measured)
        self.seconds, self._all = last.at - first.at, last.everybody - first.everybody
        self.used = {
            part: max(value - first.parts.get(part, 0), 0) for part, value in last.parts.items()
        }

    def others(self, generator_seconds: float = 0) -> float:
        """The cores that others kept busy; the generator says what it used itself."""
        of_others = self._all - sum(self.used.values()) - generator_seconds
        return round(max(of_others, 0) / self.seconds, 3)


class _Reading(msgspec.Struct, frozen=True):
    at: float
    everybody: float
    parts: Mapping[str, float]

    @classmethod
    def take(cls, measured: Measured) -> "_Reading":
        return cls(time.monotonic(), busy_seconds(), cpu_seconds(measured.roots))


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A process that makes the load: it is told its job and reports as bench.generator does.

    `part`: what its own CPU counts as. `environment`: None for ours.
    """

    job: bytes
    command: Sequence[str] = _GENERATOR
    environment: Mapping[str, str] | None = None
    part: str = GENERATOR


def measure(measured: Measured, job: Job) -> Measurement:
    """Run one job of the generator against `measured` (or its provider)."""
    return measure_load(measured, Load(job=msgspec.json.encode(job)))


def measure_load(measured: Measured, load: Load) -> Measurement:
    """Run one load; ProgramFailed when it ends before its report."""
    before = os.getloadavg()[0]
    batches = measured.batches()
    report, meter = _generate(load, measured)
    answers = max(report.answers, 1)
    return Measurement(
        answers=report.answers,
        seconds=report.seconds,
        load=before,
        others=meter.others(report.cpu_seconds),
        cpu_ms=per_answer({**meter.used, load.part: report.cpu_seconds}, answers),
        batches=mean_sizes(batches, measured.batches()),
        failures=report.failures,
        latencies=report.latencies,
        lags=report.lags,
    )


def measure_drain(system: System, backlog: int) -> Measurement:
    """Start the workers and time the backlog from its first finished request to its last."""
    load = os.getloadavg()[0]
    system.start_workers()
    left = system.wait_until_open_is(backlog - 1)
    meter = Meter(system)
    system.wait_until_open_is(0)
    meter.stop()
    system.wait_for_workers()
    return Measurement(
        answers=left,
        seconds=meter.seconds,
        load=load,
        others=meter.others(),
        cpu_ms=per_answer(meter.used, max(left, 1)),
        batches=mean_sizes({}, {k: v for k, v in system.batches().items() if "gateway" not in k}),
    )


def measure_idle(system: System, seconds: float) -> dict[str, float]:
    """CPU milliseconds a second by part while nothing is asked: what polling costs."""
    meter = Meter(system)
    time.sleep(seconds)
    meter.stop()
    return {part: round(meter.used[part] * 1000 / seconds, 1) for part in system.parts}


def per_answer(seconds: Mapping[str, float], answers: int) -> dict[str, float]:
    """Milliseconds, to a tenth of a microsecond."""
    return {part: round(value * 1000 / answers, 4) for part, value in seconds.items()}


def _generate(load: Load, measured: Measured) -> tuple[Report, Meter]:
    """Run the load in its own process; its report, and the CPU of the measured time."""
    with subprocess.Popen(  # noqa: S603  the command is ours
        load.command,
        cwd=ROOT,
        env=None if load.environment is None else dict(load.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise ProgramFailed("the generator has no pipes")
        process.stdin.write(load.job)
        process.stdin.close()
        _expect(process.stdout.readline(), BEGUN)
        meter = Meter(measured)
        _expect(process.stdout.readline(), ENDED)
        meter.stop()
        line = process.stdout.readline()
    return msgspec.json.decode(line, type=Report), meter


def _expect(line: bytes, expected: bytes) -> None:
    if line != expected:
        raise ProgramFailed("the generator failed; its error is above")
