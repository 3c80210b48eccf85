"""Which ranges of time can be asked for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from libs.common.contracts.stats import MAX_DAYS, MAX_HOURS, StatsQuestion, Step
from services.gateway.domain.errors import UnsupportedParameter
from services.gateway.domain.ranges import steps_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def asked(low: datetime, high: datetime, step: Step = "hour") -> StatsQuestion:
    return StatsQuestion(mode="live", from_=low, to=high, step=step)


def test_every_step_of_the_range_is_there() -> None:
    hours = steps_of(asked(NOON, NOON + timedelta(hours=3)))
    days = steps_of(asked(DAY, DAY + MAX_DAYS * timedelta(days=1), "day"))

    assert hours == [NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=2)]
    assert (len(days), days[0], days[-1]) == (400, DAY, DAY + timedelta(days=399))


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))

    assert steps_of(asked(berlin, berlin + timedelta(hours=1))) == [NOON]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (asked(NOON, NOON), "1 to 744 hours; it is 0"),
        (asked(NOON, NOON - timedelta(hours=1)), "it is -1"),
        (asked(NOON, NOON + timedelta(hours=MAX_HOURS + 1)), "it is 745"),
        (asked(DAY, DAY + timedelta(days=MAX_DAYS + 1), "day"), "1 to 400 days; it is 401"),
        (asked(NOON, DAY + timedelta(days=1), "day"), "`from` must be the start of a whole day"),
        (asked(NOON, NOON + timedelta(minutes=90)), "`to` must be the start of a whole hour"),
        (asked(NOON + timedelta(seconds=1), NOON), "`from`"),
    ],
    ids=["nothing", "backwards", "long", "long in days", "noon", "half", "second"],
)
def test_any_other_range_is_refused(question: StatsQuestion, text: str) -> None:
    with pytest.raises(UnsupportedParameter, match=text):
        steps_of(question)
