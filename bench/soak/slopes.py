"""Whether something grows: the Theil-Sen slope of its samples, which outliers do not bend."""

from collections.abc import Sequence
from statistics import median

Point = tuple[float, float]
"""Seconds and a value."""

_WARM_UP_SHARE = 4
_MOST_POINTS = 400


def settled(points: Sequence[Point]) -> Sequence[Point]:
    """Without the first quarter: caches, pools and shared buffers fill first."""
    return points[len(points) // _WARM_UP_SHARE :]


def slope(points: Sequence[Point]) -> float:
    """The median of the slopes of all pairs, per second; 0 where there are no two moments.

    Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968. More points than
    some hundreds tell nothing more, and pairs grow with their square: then every n-th is taken.
    """
    taken = points[:: max(len(points) // _MOST_POINTS, 1)]
    slopes = [
        (later_value - value) / (later_at - at)
        for number, (at, value) in enumerate(taken)
        for later_at, later_value in taken[number + 1 :]
        if later_at != at
    ]
    return median(slopes) if slopes else 0.0
