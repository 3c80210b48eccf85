"""A run as tables for people."""

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.gates import Gate
from bench.measured import BYSTANDERS
from bench.measuring import Measurement
from bench.plan import DIRECT, OURS, paced
from bench.results import Results

_MEBIBYTE = 1024 * 1024
_QUIET_CORES = 0.15


def show(console: Console, results: Results, gates: Sequence[Gate]) -> None:
    """Everything, the gates last."""
    for table in (_throughput, _latency, _cpu, _at_rest, _peers_at_rest, _batches):
        console.print(table(results))
        console.print()
    for failure, count in results.failures().items():
        console.print(f"[red]{count} wrong[/] {failure}")
    for failure, count in results.failures(of_peers=True).items():
        console.print(f"[yellow]{count} wrong[/] {failure}")
    for peer, reason in results.absent.items():
        console.print(f"[yellow]{peer} was not measured, or not to the end:[/] {reason}")
    console.print(gate_table(gates))
    if results.others() > _QUIET_CORES:
        console.print(
            f"[yellow]Others kept {results.others():.2f} cores busy meanwhile: "
            "repeat it on an idle machine before believing any of it.[/]"
        )


def line(name: str, made: Measurement) -> str:
    """One measurement as it is made."""
    wrong = sum(made.failures.values())
    text = f"  {name:<46} {made.per_second:>8.0f}/s  {made.system_cpu_ms:6.2f} CPU-ms"
    return f"{text}  others {made.others:.2f} cores" + (f"  [red]{wrong} wrong[/]" if wrong else "")


def gate_table(gates: Sequence[Gate]) -> Table:
    """Each figure beside its bound and what is wished for."""
    table = _table("Gates", "value", "gate", "", "target", "")
    for gate in gates:
        sign = "≥" if gate.is_minimum else "≤"
        table.add_row(
            gate.name,
            f"{gate.value:.4g} {gate.unit}",
            f"{sign} {gate.bound:g}",
            "[green]PASS[/]" if gate.is_passed else "[red]FAIL[/]",
            "" if gate.target is None else f"{sign} {gate.target:g}",
            _on_target(gate),
        )
    return table


def _on_target(gate: Gate) -> str:
    if gate.target is None:
        return ""
    return "[green]reached[/]" if gate.is_on_target else "[yellow]missed[/]"


def _throughput(results: Results) -> Table:
    table = _table("Throughput", "per second", "least", "most", "p50 ms", "p99 ms", "CPU-ms")
    for name in _names(results, is_paced=False):
        rates = [made.per_second for made in results.all_of(name)]
        table.add_row(
            name,
            *(f"{value:.0f}" for value in (median(rates), min(rates), max(rates))),
            *(f"{results.latency(name, percent):.1f}" for percent in (50, 99)),
            f"{results.middle(name, lambda made: made.system_cpu_ms):.2f}",
        )
    return table


def _latency(results: Results) -> Table:
    """Added is what we take on top of the provider alone."""
    table = _table("Latency, ms", "p50", "p99", "p99.9", "added p50", "added p99", "CPU-ms")
    for name in _names(results, is_paced=True):
        cpu = results.middle(name, lambda made: made.system_cpu_ms)
        table.add_row(
            name,
            *(f"{results.latency(name, percent):.2f}" for percent in (50, 99)),
            f"{results.whole_latency(name, 99.9):.2f}",
            *_added(results, name),
            "" if name.startswith(DIRECT) else f"{cpu:.2f}",
        )
    return table


def _added(results: Results, name: str) -> list[str]:
    if not name.startswith(OURS):
        return ["", ""]
    rate = float(name.removeprefix(f"{OURS} at ").partition("/")[0])
    is_slow = name == paced(rate, is_slow=True)
    return [f"{results.added(rate, percent, is_slow=is_slow):.2f}" for percent in (50, 99)]


def _cpu(results: Results) -> Table:
    """Ours by part; a peer's are in the other tables as one sum."""
    parts = [*results.memory[-1], "provider", BYSTANDERS, "generator"]
    table = _table("CPU-ms per request", *parts)
    for name in _names(results):
        used = results.cpu(name)
        if not name.startswith(DIRECT) and "gateway" in used:
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


def _peers_at_rest(results: Results) -> Table:
    parts = results.peer_memory[-1] if results.peer_memory else {}
    table = _table("Peers at rest", *parts)
    if parts:
        table.add_row("memory, MiB", *(f"{size / _MEBIBYTE:.0f}" for size in parts.values()))
    return table


def _batches(results: Results) -> Table:
    sizes = {name: results.all_of(name)[-1].batches for name in _names(results)}
    kinds = sorted({kind for one in sizes.values() for kind in one})
    table = _table("Items a batch", *kinds)
    for name, one in sizes.items():
        if one and not name.startswith(DIRECT):
            table.add_row(name, *(f"{one[kind]:.1f}" if kind in one else "" for kind in kinds))
    return table


def _names(results: Results, *, is_paced: bool | None = None) -> list[str]:
    """Measurements in the order they were made: all, or only those at a fixed rate, or the rest."""
    return sorted(
        (name for name in results.names() if is_paced in (None, " at " in name)),
        key=lambda name: name.startswith(DIRECT) and is_paced is None,
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title, box=None, header_style="dim", padding=(0, 1))
    for column in columns:
        table.add_column(column, justify="right")
    return table
