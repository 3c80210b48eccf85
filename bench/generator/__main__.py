"""`python -m bench.generator`: one job in, one report out."""

import gc
import sys

import msgspec
import uvloop

from bench.generator import wire
from bench.generator.callers import CallerLoad
from bench.generator.job import BEGUN, ENDED, Job, Pace, Report
from bench.generator.pace import PaceLoad
from bench.generator.tally import Tally


class _Announced(Tally):
    """Says when the measured time begins and ends: then the system's CPU is read."""

    def begin(self) -> None:
        """See Tally."""
        _write(BEGUN)
        super().begin()

    def end(self) -> None:
        """See Tally."""
        super().end()
        _write(ENDED)


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


async def _perform(job: Job) -> Report:
    tally = _Announced(job.target.expected)
    load = PaceLoad(job.load, tally) if isinstance(job.load, Pace) else CallerLoad(job.load, tally)
    await load.run(job.target.port, wire.encode(job.target))
    return tally.report()


def main() -> None:
    """Read, perform, report. Nothing here makes cycles worth collecting."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    gc.disable()
    report = uvloop.run(_perform(job))
    _write(msgspec.json.encode(report) + b"\n")


if __name__ == "__main__":
    main()
