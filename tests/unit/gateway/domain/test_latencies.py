"""Percentiles from counts by bucket."""

import math
import random

import pytest

from services.gateway.domain.latencies import BUCKETS_AN_OCTAVE, add_up, percentiles

BUCKETS = 120


def counts_of(milliseconds: list[float]) -> list[int]:
    """As latency_bucket_v1 sorts them."""
    counts = [0] * BUCKETS
    for value in milliseconds:
        counts[min(BUCKETS - 1, int(BUCKETS_AN_OCTAVE * math.log2(max(value, 1))))] += 1
    return counts


def test_nothing_has_no_percentiles() -> None:
    assert percentiles([0] * BUCKETS, (0.5, 0.95)) == [None, None]
    assert percentiles([], (0.5,)) == [None]


@pytest.mark.parametrize("milliseconds", [1.0, 20.0, 333.0, 86_400_000.0])
def test_a_single_time_is_its_own_percentile(milliseconds: float) -> None:
    [found] = percentiles(counts_of([milliseconds]), (0.5,))

    assert found == pytest.approx(milliseconds, rel=0.1, abs=0.2)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
def test_percentiles_are_good_to_a_tenth(share: float) -> None:
    chance = random.Random(7)  # noqa: S311  # the same values every time
    values = sorted(chance.lognormvariate(7, 1.5) + 1 for _ in range(5_000))
    true = values[max(0, math.ceil(share * len(values)) - 1)]

    [found] = percentiles(counts_of(values), (share,))

    assert found == pytest.approx(true, rel=0.2 if share in (0.0, 1.0) else 0.1)


def test_hours_can_be_added_up() -> None:
    quick, slow = counts_of([2.0] * 95), counts_of([4_000.0] * 5)

    p50, p99 = percentiles(add_up([quick, slow]), (0.5, 0.99))

    assert p50 == pytest.approx(2.0, rel=0.2)
    assert p99 == pytest.approx(4_000.0, rel=0.2)
