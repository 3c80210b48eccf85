"""`python -m bench`: start the whole system, measure it, print tables, judge."""

import argparse
import os
import signal
import sys
from datetime import UTC, datetime

import msgspec
from rich.console import Console

from bench import gates, report, results, rounds
from bench.machine import describe
from bench.measuring import Measurement, measure_idle
from bench.results import Results
from bench.rounds import QUICK, Plan
from bench.system import running
from bench.usage import memory_bytes
from deploy.local.programs import ProgramFailed

# Wide enough for the tables where nobody looks on (CI).
_CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def main(arguments: list[str]) -> int:
    """The process's exit code: 0 when every binding gate is passed."""
    given = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    _CONSOLE.print(f"Starting the system. Load average {load}; anything but idle spoils figures.")
    try:
        measured = _measure(given)
    except ProgramFailed as failure:
        _CONSOLE.print(f"[red]✗[/] {failure}", soft_wrap=True)
        return 1
    verdicts = gates.judge(measured)
    report.show(_CONSOLE, measured, verdicts)
    if given.name:
        file = results.save(measured, given.name)
        _CONSOLE.print(f"Raw figures: bench/results/{file.name}")
    return 0 if all(gate.is_passed for gate in verdicts if gate.is_binding) else 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--runs", type=int, default=3, help="rounds; figures are their medians (default 3)")
    add("--quick", action="store_true", help="one short round, under a minute, nothing written")
    add("--backlog", type=int, help="requests accepted before they are drained (default 5000)")
    add("--seconds", type=float, help="how long each measurement at saturation lasts (default 4)")
    add("--provider-seconds", type=float, default=0, help="a provider that takes so long instead")
    add("--name", help="write bench/results/<name>.json (default <cores>-cores; not with --quick)")
    given = parser.parse_args(arguments)
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
    plan = _plan(given)
    made: list[dict[str, Measurement]] = []
    memory: list[dict[str, int]] = []
    idle: list[dict[str, float]] = []
    with running(given.provider_seconds) as system:
        for number in range(given.runs):
            _CONSOLE.print(f"Round {number + 1} of {given.runs}")
            made.append(rounds.run(system, plan, number, _note))
            system.wait_until_settled()
            memory.append(memory_bytes(system.roots))
            idle.append(measure_idle(system, plan.idle_seconds))
        return Results(
            measured_on=datetime.now(UTC).date().isoformat(),
            machine=describe(),
            plan=plan,
            provider_seconds=given.provider_seconds,
            rounds=made,
            memory=memory,
            idle=idle,
            account=system.ledger.account(),
            provider_calls=system.provider_calls(),
        )


def _note(name: str, measurement: Measurement) -> None:
    _CONSOLE.print(report.line(name, measurement))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
