"""Percentiles from counts by bucket: what the roll-ups keep of how long requests took."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

BUCKETS_AN_OCTAVE: Final = 4
"""Bucket n (from 0) ends at 2^((n + 1) / 4) milliseconds (libs/ledger/migrations: 0005_rollups)."""


def percentiles(counts: Sequence[int], shares: Sequence[float]) -> list[float | None]:
    """For each share (0 to 1) the milliseconds that so much of what was counted did not exceed.

    Good to a tenth: within its bucket, values are taken to lie evenly. None where nothing was.
    """
    reached = list(accumulate(counts))
    if not reached or not reached[-1]:
        return [None for _ in shares]
    return [_value(counts, reached, share * reached[-1]) for share in shares]


def add_up(all_counts: Iterable[Sequence[int]]) -> list[int]:
    """One array of counts of several, all equally long."""
    return [sum(bucket) for bucket in zip(*all_counts, strict=True)]


def _value(counts: Sequence[int], reached: Sequence[int], rank: float) -> float:
    """`reached`: how many up to and with each bucket."""
    bucket = bisect_left(reached, max(rank, 1e-9))
    within = (rank - reached[bucket] + counts[bucket]) / counts[bucket]
    value: float = 2 ** ((bucket + within) / BUCKETS_AN_OCTAVE)
    return round(value, 1)
