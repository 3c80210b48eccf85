"""Pauses between tries."""

from datetime import timedelta
from itertools import islice

from libs.common.pauses import growing


def test_they_double_up_to_the_longest_and_are_shortened_by_at_most_a_half() -> None:
    pauses = list(islice(growing(timedelta(seconds=1), timedelta(seconds=10)), 7))

    for pause, full in zip(pauses, (1, 2, 4, 8, 10, 10, 10), strict=True):
        assert full / 2 <= pause <= full


def test_two_that_start_together_do_not_stay_together() -> None:
    def ten() -> list[float]:
        return list(islice(growing(timedelta(seconds=1), timedelta(seconds=10)), 10))

    assert ten() != ten()
