"""Latencies as a histogram, small enough to keep, so that rounds can be added up."""

import math
from collections.abc import Iterable, Mapping

Histogram = Mapping[int, int]
"""How often each rounded number of microseconds was seen."""

_BITS = 7


def rounded(seconds: float) -> int:
    """Microseconds, to the seven leading bits: at most 0.8 per cent off."""
    microseconds = max(round(seconds * 1_000_000), 1)
    step = 1 << max(microseconds.bit_length() - _BITS, 0)
    return (microseconds + step // 2) // step * step


def merged(histograms: Iterable[Histogram]) -> dict[int, int]:
    """All of them as one."""
    whole: dict[int, int] = {}
    for histogram in histograms:
        for value, count in histogram.items():
            whole[value] = whole.get(value, 0) + count
    return whole


def percentile(histogram: Histogram, percent: float) -> float:
    """Milliseconds, by nearest rank. NaN when nothing was seen."""
    rank = math.ceil(sum(histogram.values()) * percent / 100)
    for value, count in sorted(histogram.items()):
        rank -= count
        if rank <= 0:
            return value / 1000
    return math.nan
