"""`python -m bench.soak --minutes 30`: constant load, samples, slopes, pass or fail."""

import argparse
import os
import signal
import sys

import msgspec
from rich.console import Console
from rich.table import Table

from bench.histogram import percentile
from bench.report import gate_table
from bench.results import FOLDER
from bench.site import run_folder, running
from bench.soak import figures
from bench.soak.figures import MEBIBYTE, Soak
from bench.soak.run import Wish, soak
from bench.soak.samples import Sample
from deploy.local.programs import ProgramFailed

_CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
_NOTE_EVERY = 60.0


def main(arguments: list[str]) -> int:
    """The process's exit code: 0 when every figure passes."""
    given = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _CONSOLE.print(f"Starting the system for {given.minutes:g} minutes of load.")
    wish = Wish(minutes=given.minutes, share=given.share)
    try:
        with run_folder() as folder, running(folder) as (system, _):
            made = soak(system, wish, _Progress())
    except ProgramFailed as failure:
        _CONSOLE.print(f"[red]✗[/] {failure}", soft_wrap=True)
        return 1
    verdicts = figures.judge(made)
    _show(made)
    _CONSOLE.print(gate_table(verdicts))
    if given.name:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{given.name}.json").write_bytes(msgspec.json.encode(made) + b"\n")
    return 0 if all(gate.is_passed for gate in verdicts) else 1


class _Progress:
    """A line a minute."""

    def __init__(self) -> None:
        self._next_at = 0.0

    def __call__(self, sample: Sample) -> None:
        if sample.at < self._next_at:
            return
        self._next_at += _NOTE_EVERY
        memory = sum(held.memory for held in sample.parts.values()) / MEBIBYTE
        live = sample.table_bytes.get("live", 0) / MEBIBYTE
        _CONSOLE.print(
            f"  {sample.at / 60:5.1f} min  memory {memory:.0f} MiB  live {live:.1f} MiB"
            f"  late {sample.late:.1f} s  messages {sum(sample.queues.values())}"
        )


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=30, help="how long the load lasts (default 30)")
    add("--share", type=float, default=0.6, help="of the capacity that is measured first")
    add("--name", help=f"write bench/results/<name>.json, such as soak-{os.cpu_count()}-cores")
    return parser.parse_args(arguments)


def _show(made: Soak) -> None:
    latencies = [percentile(made.load.latencies, percent) for percent in (50, 99, 99.9)]
    _CONSOLE.print(
        f"{made.load.answers} requests at {made.rate:g}/s, of a capacity of {made.capacity:.0f}/s;"
        f" latency p50 {latencies[0]:.1f}, p99 {latencies[1]:.1f}, p99.9 {latencies[2]:.1f} ms;"
        f" others {made.load.others:.2f} cores"
    )
    for failure, count in made.load.failures.items():
        _CONSOLE.print(f"[red]{count} wrong:[/] {failure}")
    table = Table("At the end", "first", "last", box=None, header_style="dim", padding=(0, 1))
    for name, first, last in _ends(made):
        table.add_row(name, first, last)
    _CONSOLE.print(table)


def _ends(made: Soak) -> list[tuple[str, str, str]]:
    """What was there at the first look and at the last."""
    first, last = made.samples[0], made.samples[-1]
    memory = [
        (f"{part}: memory, MiB", _mebibytes(first.parts[part].memory), _mebibytes(held.memory))
        for part, held in last.parts.items()
    ]
    counts = [
        (f"{part}: descriptors", str(first.parts[part].descriptors), str(held.descriptors))
        for part, held in last.parts.items()
    ]
    tables = [
        (f"table {name}, MiB", _mebibytes(first.table_bytes.get(name, 0)), _mebibytes(size))
        for name, size in last.table_bytes.items()
    ]
    dead = [
        (f"dead rows of {name}", str(first.dead_rows.get(name, 0)), str(rows))
        for name, rows in last.dead_rows.items()
    ]
    purged = [(f"purged: {what}", "0", f"{count:.0f}") for what, count in made.purged.items()]
    return [*memory, *counts, *tables, *dead, *purged]


def _mebibytes(size: int) -> str:
    return f"{size / MEBIBYTE:.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
