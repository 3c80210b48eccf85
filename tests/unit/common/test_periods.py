"""Periods of use: every moment is in one, and they follow each other without a gap."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.periods import midnight, next_period, period_of, resets_at

ANCHORS = st.integers(1, 31)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("anchor", "moment", "period", "following"),
    [
        (1, "2026-11-30T23:59:59", "2026-11-01", "2026-12-01"),
        (1, "2026-12-01T00:00:00", "2026-12-01", "2027-01-01"),
        (23, "2026-11-22T23:59:59", "2026-10-23", "2026-11-23"),
        (23, "2026-11-23T00:00:00", "2026-11-23", "2026-12-23"),
        (31, "2027-02-27T12:00:00", "2027-01-31", "2027-02-28"),
        (31, "2027-02-28T00:00:00", "2027-02-28", "2027-03-31"),
        (31, "2028-02-29T00:00:00", "2028-02-29", "2028-03-31"),
        (30, "2027-03-29T00:00:00", "2027-02-28", "2027-03-30"),
    ],
)
def test_a_month_without_the_anchor_day_begins_on_its_last(
    anchor: int, moment: str, period: str, following: str
) -> None:
    begins_on = period_of(anchor, datetime.fromisoformat(moment).replace(tzinfo=UTC))

    assert begins_on == date.fromisoformat(period)
    assert next_period(anchor, begins_on) == date.fromisoformat(following)


@given(ANCHORS, MOMENTS)
def test_every_moment_is_in_the_period_that_ends_when_the_next_begins(
    anchor: int, moment: datetime
) -> None:
    begins_on, ends_at = period_of(anchor, moment), resets_at(anchor, moment)

    assert midnight(begins_on) <= moment < ends_at
    assert period_of(anchor, ends_at) == ends_at.date()
    assert period_of(anchor, ends_at - timedelta(microseconds=1)) == begins_on
