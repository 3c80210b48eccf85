"""A run as tables for people."""

from statistics import median

from rich.console import Console
from rich.table import Table

from bench.gates import Gate
from bench.measuring import Measurement
from bench.results import Results
from bench.rounds import paced

_MEBIBYTE = 1024 * 1024
_QUIET_CORES = 0.15


def show(console: Console, results: Results, gates: list[Gate]) -> None:
    """Everything, the gates last."""
    tables = (_throughput, _latency, _cpu, _at_rest, _batches)
    for table in tables:
        console.print(table(results))
        console.print()
    for failure, count in results.failures().items():
        console.print(f"[red]{count} wrong[/] {failure}")
    console.print(_gates(gates))
    if results.others() > _QUIET_CORES:
        console.print(
            f"[yellow]Others kept {results.others():.2f} cores busy meanwhile: "
            "repeat it on an idle machine before believing any of it.[/]"
        )


def line(name: str, made: Measurement) -> str:
    """One measurement as it is made."""
    wrong = sum(made.failures.values())
    text = f"  {name:<38} {made.per_second:>8.0f}/s  {made.system_cpu_ms:6.2f} CPU-ms"
    return f"{text}  others {made.others:.2f} cores" + (f"  [red]{wrong} wrong[/]" if wrong else "")


def _throughput(results: Results) -> Table:
    table = _table("Throughput", "per second", "least", "most", "p50 ms", "p99 ms", "CPU-ms")
    for name in _names(results, is_paced=False):
        rates = [made[name].per_second for made in results.rounds]
        table.add_row(
            name,
            *(f"{value:.0f}" for value in (median(rates), min(rates), max(rates))),
            *(f"{results.latency(name, percent):.1f}" for percent in (50, 99)),
            f"{results.middle(name, lambda made: made.system_cpu_ms):.2f}",
        )
    return table


def _latency(results: Results) -> Table:
    table = _table("Latency, ms", "p50", "p99", "p99.9", "added p50", "added p99", "CPU-ms")
    for rate in results.plan.rates:
        for is_direct in (True, False):
            name = paced(rate, is_direct=is_direct)
            added = ["", ""] if is_direct else [f"{results.added(rate, p):.2f}" for p in (50, 99)]
            cpu = results.middle(name, lambda made: made.system_cpu_ms)
            table.add_row(
                name,
                *(f"{results.latency(name, percent):.2f}" for percent in (50, 99)),
                f"{results.whole_latency(name, 99.9):.2f}",
                *added,
                "" if is_direct else f"{cpu:.2f}",
            )
    return table


def _cpu(results: Results) -> Table:
    names = [name for name in _names(results) if not name.startswith("direct")]
    parts = list(results.cpu(names[-1]))
    table = _table("CPU-ms per request", *parts)
    for name in names:
        used = results.cpu(name)
        table.add_row(name, *(f"{used[part]:.2f}" if part in used else "" for part in parts))
    return table


def _at_rest(results: Results) -> Table:
    """After a round, with nothing asked."""
    parts = list(results.memory[-1])
    idle = {part: median(made[part] for made in results.idle) for part in parts}
    table = _table("At rest", *parts, "all")
    memory = list(results.memory[-1].values())
    table.add_row("memory, MiB", *(f"{size / _MEBIBYTE:.0f}" for size in (*memory, sum(memory))))
    table.add_row("CPU-ms a second", *(f"{ms:.0f}" for ms in (*idle.values(), sum(idle.values()))))
    return table


def _batches(results: Results) -> Table:
    names = [name for name in _names(results) if not name.startswith("direct")]
    last = results.rounds[-1]
    kinds = sorted({kind for name in names for kind in last[name].batches})
    table = _table("Items a batch", *kinds)
    for name in names:
        sizes = last[name].batches
        table.add_row(name, *(f"{sizes[kind]:.1f}" if kind in sizes else "" for kind in kinds))
    return table


def _gates(gates: list[Gate]) -> Table:
    table = _table("Gates", "value", "bound", "")
    for gate in gates:
        sign = "≥" if gate.is_minimum else "≤"
        verdict = "[green]PASS[/]" if gate.is_passed else "[red]FAIL[/]"
        missed = "[green]reached[/]" if gate.is_passed else "[yellow]missed[/]"
        table.add_row(
            gate.name,
            f"{gate.value:.4g} {gate.unit}",
            f"{sign} {gate.bound:g}",
            verdict if gate.is_binding else f"target {missed}",
        )
    return table


def _names(results: Results, *, is_paced: bool | None = None) -> list[str]:
    """Measurements in the order they were made: all, or only those at a fixed rate, or the rest."""
    rates = {paced(rate, is_direct=d) for rate in results.plan.rates for d in (True, False)}
    return [name for name in results.rounds[0] if is_paced in (None, name in rates)]


def _table(title: str, *columns: str) -> Table:
    table = Table(title, box=None, header_style="dim", padding=(0, 1))
    for column in columns:
        table.add_column(column, justify="right")
    return table
