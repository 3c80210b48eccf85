"""Percentiles from counts by bucket: what the roll-ups keep of how long requests took."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

BUCKETS_AN_OCTAVE: Final = 4
"""Bucket n (from 0) ends at 2^((n + 1) / 4) milliseconds (libs/ledger/migrations: 0005_rollups)."""


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Milliseconds that `share` (0 to 1) of what was counted did not exceed; None of nothing.

    Good to a tenth: within its bucket, values are taken to lie evenly.
    """
    reached = list(accumulate(counts))
    if not reached or not reached[-1]:
        return None
    rank = share * reached[-1]
    bucket = bisect_left(reached, rank)
    while not counts[bucket]:
        bucket += 1
    within = (rank - reached[bucket] + counts[bucket]) / counts[bucket]
    value: float = 2 ** ((bucket + within) / BUCKETS_AN_OCTAVE)
    return round(value, 1)


def add_up(all_counts: Iterable[Sequence[int]]) -> list[int]:
    """One array of counts of several, all equally long."""
    return [sum(bucket) for bucket in zip(*all_counts, strict=True)]
