import math

from hypothesis import given
from hypothesis import strategies as st

from bench.histogram import merged, percentile, rounded


def test_percentiles_are_by_nearest_rank() -> None:
    histogram = {value * 1000: 1 for value in range(1, 101)}
    assert percentile(histogram, 50) == 50
    assert percentile(histogram, 99) == 99
    assert percentile(histogram, 99.9) == 100


def test_a_percentile_counts_how_often_a_value_was_seen() -> None:
    assert percentile({1_000: 999, 9_000: 1}, 99.9) == 1
    assert percentile({1_000: 998, 9_000: 2}, 99.9) == 9


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile({}, 50))


def test_rounds_are_added_up_value_by_value() -> None:
    assert merged([{1: 2, 5: 1}, {5: 3}]) == {1: 2, 5: 4}


@given(st.floats(min_value=0.0001, max_value=1000))
def test_rounding_is_at_most_one_per_cent_off(seconds: float) -> None:
    assert abs(rounded(seconds) - seconds * 1_000_000) <= 0.008 * seconds * 1_000_000 + 0.5


def test_nothing_is_faster_than_a_microsecond() -> None:
    assert rounded(0) == 1
