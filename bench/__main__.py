"""`python -m bench`: start the whole system and its peers, measure, print tables, judge."""

import argparse
import os
import signal
import sys
from datetime import UTC, datetime

import msgspec
from rich.console import Console

from bench import gates, report, results
from bench.drawing import plots
from bench.machine import describe
from bench.measuring import Measurement, measure_idle
from bench.peers.lineup import ALL, Lineup, lineup, pins
from bench.plan import QUICK, Plan
from bench.results import Results
from bench.rounds import Round
from bench.site import run_folder, running
from bench.system import System
from bench.usage import memory_bytes
from deploy.local.programs import ProgramFailed

# Wide enough for the tables where nobody looks on (CI).
_CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def main(arguments: list[str]) -> int:
    """The process's exit code: 0 when every gate is passed."""
    given = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    _CONSOLE.print(f"Starting the system. Load average {load}; anything but idle spoils figures.")
    try:
        measured = _measure(given)
    except ProgramFailed as failure:
        _CONSOLE.print(f"[red]✗[/] {failure}", soft_wrap=True)
        return 1
    if given.name:
        file = results.save(measured, given.name)
        plots.save(measured, given.name)
        _CONSOLE.print(f"Raw figures: bench/results/{file.name}; plots: bench/plots/")
    verdicts = gates.judge(measured)
    report.show(_CONSOLE, measured, verdicts)
    return 0 if all(gate.is_passed for gate in verdicts) else 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--runs", type=int, default=3, help="rounds; figures are their medians (default 3)")
    add("--quick", action="store_true", help="one short round, without peers, nothing written")
    add("--peers", nargs="*", choices=ALL, help="only these peers; none at all for us alone")
    add("--backlog", type=int, help="requests accepted before they are drained (default 5000)")
    add("--seconds", type=float, help="how long each measurement at saturation lasts (default 4)")
    add("--slow-seconds", type=float, default=0.05, help="what the slow provider takes")
    add("--name", help="write bench/results/<name>.json (default <cores>-cores; not with --quick)")
    given = parser.parse_args(arguments)
    if given.peers is None:
        given.peers = [] if given.quick else ALL
    if given.quick:
        given.runs = 1
    elif not given.name:
        given.name = f"{os.cpu_count()}-cores"
    return given


def _plan(given: argparse.Namespace) -> Plan:
    chosen = {"backlog": given.backlog, "seconds": given.seconds}
    wanted = {name: value for name, value in chosen.items() if value is not None}
    return msgspec.structs.replace(QUICK if given.quick else Plan(), **wanted)


def _measure(given: argparse.Namespace) -> Results:
    with run_folder() as folder, running(folder, given.slow_seconds) as (system, providers):
        if given.peers:
            _CONSOLE.print(f"Installing and starting {', '.join(given.peers)}")
        with lineup(folder, providers.theirs.url, tuple(given.peers)) as peers:
            peers.introduce(system)
            peers.warm_up()
            for name, reason in peers.absent.items():
                _CONSOLE.print(f"[yellow]Without {name}:[/] {reason}")
            return _all_rounds(given, system, peers)


def _all_rounds(given: argparse.Namespace, system: System, peers: Lineup) -> Results:
    plan = _plan(given)
    made: list[dict[str, Measurement]] = []
    memory: list[dict[str, int]] = []
    peer_memory: list[dict[str, int]] = []
    idle: list[dict[str, float]] = []
    for number in range(given.runs):
        _CONSOLE.print(f"Round {number + 1} of {given.runs}")
        made.append(Round(system, peers, plan, number).run(_note))
        system.wait_until_settled()
        memory.append(memory_bytes(system.parts))
        peer_memory.append(peers.memory())
        idle.append(measure_idle(system, plan.idle_seconds))
    return Results(
        measured_on=datetime.now(UTC).date().isoformat(),
        machine=describe(),
        plan=plan,
        slow_seconds=given.slow_seconds,
        peers=pins(given.peers),
        absent=peers.absent,
        rounds=made,
        memory=memory,
        peer_memory=peer_memory,
        idle=idle,
        account=system.ledger.account(),
        provider_calls=system.provider_calls(),
    )


def _note(name: str, measurement: Measurement) -> None:
    _CONSOLE.print(report.line(name, measurement))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
