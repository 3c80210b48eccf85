"""`python -m bench.pages`: what every page takes beside two million requests, and an export."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import msgspec
from rich.console import Console
from rich.table import Table

from bench.gates import Gate
from bench.machine import Machine, describe
from bench.pages.addresses import PUBLIC, addresses
from bench.pages.export import ExportTimes, export_beside
from bench.pages.measure import PageTimes, measure
from bench.pages.scene import Scene, set_up
from bench.report import gate_table
from bench.results import FOLDER
from bench.site import run_folder
from deploy.local.programs import ProgramFailed
from deploy.local.stack import Options, Stack

_CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
_MOST_MS = 50.0
_SLOWEST = 12
_QUIET_CORES = 0.15


class PagesRun(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured. `load`: others' processes that wanted a core, before."""

    measured_on: str
    machine: Machine
    load: float
    ended: int
    opened: int
    pages: Mapping[str, PageTimes]
    export: ExportTimes


def main(arguments: list[str]) -> int:
    """The process's exit code: 0 when every page keeps to the limit."""
    given = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with run_folder() as folder:
            made = _run(folder, given)
    except ProgramFailed as failure:
        _CONSOLE.print(f"[red]✗[/] {failure}", soft_wrap=True)
        return 1
    _show(made)
    gates = judge(made.pages)
    _CONSOLE.print(gate_table(gates))
    if given.name:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{given.name}.json").write_bytes(msgspec.json.encode(made) + b"\n")
    return 0 if all(gate.is_passed for gate in gates) else 1


def judge(pages: Mapping[str, PageTimes]) -> list[Gate]:
    """The slowest pages; all of them have to keep to the limit."""
    slowest = _by_slowness(pages)[:_SLOWEST]
    return [
        Gate(name=f"{name}, p95", value=page.percentile(0.95), bound=_MOST_MS, unit="ms")
        for name, page in slowest
    ]


def _by_slowness(pages: Mapping[str, PageTimes]) -> list[tuple[str, PageTimes]]:
    return sorted(pages.items(), key=lambda one: one[1].percentile(0.95), reverse=True)


def _run(folder: Path, given: argparse.Namespace) -> PagesRun:
    stack = Stack(folder, Options(settings={"OPEN_HOSTS": "127.0.0.1"}))
    try:
        stack.start()
        _CONSOLE.print(f"Writing {given.ended:,} requests, and {given.opened:,} open ones.")
        scene = asyncio.run(set_up(stack, given.ended, given.opened, given.export))
        load = os.getloadavg()[0]
        return PagesRun(
            measured_on=f"{datetime.now(UTC):%Y-%m-%d}",
            machine=describe(),
            load=load,
            ended=given.ended,
            opened=given.opened,
            pages=_measure_all(scene, given.times),
            export=export_beside(scene, given.export),
        )
    finally:
        stack.stop()


def _measure_all(scene: Scene, times: int) -> dict[str, PageTimes]:
    """Those of everybody as a stranger sees them."""
    client = scene.customer.client
    made: dict[str, PageTimes] = {}
    with httpx2.Client(base_url=client.base_url, trust_env=False, timeout=60) as stranger:
        for name, path in addresses(scene.ids).items():
            visitor = stranger if name in PUBLIC else client
            made[name] = measure(visitor, path, times, scene.roots)
    return made


def _show(made: PagesRun) -> None:
    table = Table("Page", box=None, header_style="dim", padding=(0, 1))
    for name in ("p50 ms", "p95 ms", "CPU-ms", "kB", "others"):
        table.add_column(name, justify="right")
    for name, page in made.pages.items():
        cells = (page.percentile(0.5), page.percentile(0.95), sum(page.cpu_ms.values()))
        table.add_row(
            name,
            *(f"{value:.1f}" for value in cells),
            f"{page.bytes / 1000:.0f}",
            f"{page.others:.2f}",
        )
    _CONSOLE.print(table)
    export = made.export
    _CONSOLE.print(
        f"Export of {export.requests:,} requests: {export.whole:.1f} s,"
        f" {export.requests / export.whole:.0f}/s, first byte after {export.first_byte:.2f} s;"
        f" a list meanwhile p95 {export.beside.percentile(0.95):.0f} ms"
    )
    _note_others([page.others for page in made.pages.values()])


def _note_others(others: Sequence[float]) -> None:
    worst = max(others)
    if worst > _QUIET_CORES:
        _CONSOLE.print(
            f"[yellow]Others kept up to {worst:.2f} cores busy meanwhile:"
            " believe the CPU, and repeat the times on an idle machine.[/]"
        )


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    add = parser.add_argument
    add("--ended", type=int, default=2_000_000, help="requests of the project that ended")
    add("--opened", type=int, default=100_000, help="and that are open")
    add("--export", type=int, default=100_000, help="requests of the account that is exported")
    add("--times", type=int, default=100, help="each page is asked for")
    add("--name", help=f"write bench/results/<name>.json, such as pages-{os.cpu_count()}-cores")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
