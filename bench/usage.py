"""CPU and memory of processes with all their children, from /proc (proc(5))."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
_KIBIBYTE = 1024

Roots = Mapping[str, Sequence[int]]
"""The first processes of each part of the system, by its name."""


class Stat(msgspec.Struct, frozen=True):
    """One process: `seconds` of CPU, user and system, those of its ended children included."""

    pid: int
    parent: int
    seconds: float


def parse_stat(line: str) -> Stat:
    """A line of /proc/<pid>/stat. The name in it may hold spaces and parentheses."""
    pid, _, rest = line.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    ticks = sum(int(field) for field in fields[11:15])
    return Stat(int(pid), int(fields[1]), ticks / _TICKS)


def cpu_seconds(roots: Roots) -> dict[str, float]:
    """CPU used so far by each part, to a hundredth of a second a process."""
    stats = _all()
    return {
        name: sum(stats[pid].seconds for pid in tree(stats, first) if pid in stats)
        for name, first in roots.items()
    }


def busy_seconds() -> float:
    """CPU used by everybody on this machine since it started, stolen time included."""
    return parse_busy(Path("/proc/stat").read_text())


def parse_busy(text: str) -> float:
    """Of the text of /proc/stat: user nice system idle iowait irq softirq steal (proc(5))."""
    fields = [int(field) for field in text.partition("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS


def memory_bytes(roots: Roots) -> dict[str, int]:
    """Memory of each part; what processes share counts once (proportional set size)."""
    stats = _all()
    return {
        name: sum(_proportional(pid) for pid in tree(stats, first)) for name, first in roots.items()
    }


def tree(stats: Mapping[int, Stat], first: Sequence[int]) -> set[int]:
    """These processes and everything below them."""
    found = set(first)
    fresh = found
    while fresh:
        fresh = {stat.pid for stat in stats.values() if stat.parent in fresh} - found
        found |= fresh
    return found


def _all() -> dict[int, Stat]:
    stats = [_read(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return {stat.pid: stat for stat in stats if stat is not None}


def _read(folder: Path) -> Stat | None:
    """None for one that has just ended."""
    try:
        return parse_stat((folder / "stat").read_text())
    except OSError:
        return None


def _proportional(pid: int) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    except OSError:
        return 0
    return int(found.group(1)) * _KIBIBYTE if found else 0
