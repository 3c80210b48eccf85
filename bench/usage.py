"""CPU and memory of processes with all their children, from /proc (proc(5))."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
_ANONYMOUS = re.compile(rb"^Pss_Anon:\s+(\d+) kB", re.MULTILINE)
_KIBIBYTE = 1024

Roots = Mapping[str, Sequence[int]]
"""The first processes of each part of the system, by its name."""


class Stat(msgspec.Struct, frozen=True):
    """One process: `seconds` of CPU, user and system, those of its ended children included."""

    pid: int
    parent: int
    seconds: float
    threads: int = 1


def parse_stat(line: str) -> Stat:
    """A line of /proc/<pid>/stat. The name in it may hold spaces and parentheses."""
    pid, _, rest = line.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    ticks = sum(int(field) for field in fields[11:15])
    return Stat(int(pid), int(fields[1]), ticks / _TICKS, int(fields[17]))


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


class Resources(msgspec.Struct, frozen=True):
    """What a part holds: bytes in all, bytes of its own (no files, no shared memory), and counts.

    A leak is in its own; shared buffers only fill.
    """

    memory: int
    own_memory: int
    descriptors: int
    threads: int


def resources(roots: Roots) -> dict[str, Resources]:
    """What each part holds now."""
    stats = _all()
    return {
        name: _sum([_held(stats[pid]) for pid in tree(stats, first) if pid in stats])
        for name, first in roots.items()
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
    return _kibibytes(_PSS, _rollup(pid))


def _held(stat: Stat) -> Resources:
    rollup, folder = _rollup(stat.pid), Path(f"/proc/{stat.pid}/fd")
    try:
        descriptors = sum(1 for _ in folder.iterdir())
    except OSError:
        descriptors = 0
    memory, own = _kibibytes(_PSS, rollup), _kibibytes(_ANONYMOUS, rollup)
    return Resources(memory, own, descriptors, stat.threads)


def _sum(held: Sequence[Resources]) -> Resources:
    return Resources(
        memory=sum(one.memory for one in held),
        own_memory=sum(one.own_memory for one in held),
        descriptors=sum(one.descriptors for one in held),
        threads=sum(one.threads for one in held),
    )


def _rollup(pid: int) -> bytes:
    """Nothing for one that has just ended."""
    try:
        return Path(f"/proc/{pid}/smaps_rollup").read_bytes()
    except OSError:
        return b""


def _kibibytes(line: re.Pattern[bytes], rollup: bytes) -> int:
    found = line.search(rollup)
    return int(found.group(1)) * _KIBIBYTE if found else 0
