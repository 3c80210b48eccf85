import math

import pytest

from bench.soak.slopes import settled, slope

MINUTE = [(5.0 * n, 7.0) for n in range(12)]


def test_what_stays_has_no_slope() -> None:
    assert slope(MINUTE) == 0


def test_a_slope_is_per_second() -> None:
    assert slope([(at, 100 + 0.25 * at) for at, _ in MINUTE]) == pytest.approx(0.25)


def test_outliers_do_not_bend_it() -> None:
    points = [(at, 3 * at) for at, _ in MINUTE]
    points[2] = (points[2][0], 10_000)
    points[9] = (points[9][0], -10_000)

    assert slope(points) == pytest.approx(3, rel=0.2)


def test_a_saw_that_comes_back_has_next_to_none() -> None:
    saw = [(5.0 * n, float(n % 12)) for n in range(360)]

    assert abs(slope(saw)) * 600 < 1


def test_a_leak_below_a_saw_is_seen() -> None:
    leaking = [(5.0 * n, n % 12 + 0.01 * n) for n in range(360)]

    assert slope(leaking) * 600 == pytest.approx(1.2, rel=0.25)


def test_many_points_are_thinned_not_cut() -> None:
    points = [(float(n), 2.0 * n if n < 5_000 else 10_000.0) for n in range(10_000)]

    assert 0 < slope(points) < 2


@pytest.mark.parametrize("points", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]])
def test_without_two_moments_there_is_no_slope(points: list[tuple[float, float]]) -> None:
    assert slope(points) == 0


def test_the_first_quarter_does_not_count() -> None:
    warming = [(float(n), min(n, 25) * 1.0) for n in range(100)]

    assert settled(warming)[0] == (25.0, 25.0)
    assert slope(settled(warming)) == 0
    assert not math.isclose(slope(warming[:50]), 0)
