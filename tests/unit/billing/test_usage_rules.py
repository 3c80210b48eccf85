"""What counts as usage, and for which period."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from services.billing.domain.usage import countable, period_of
from tests.support.finished import finished


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        (datetime(2026, 3, 1, tzinfo=UTC), date(2026, 3, 1)),
        (datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC), date(2026, 3, 1)),
        (datetime(2026, 4, 1, 1, tzinfo=timezone(timedelta(hours=2))), date(2026, 3, 1)),
        (datetime(2025, 12, 31, 22, tzinfo=timezone(timedelta(hours=-5))), date(2026, 1, 1)),
        (datetime(2028, 2, 29, 12, tzinfo=UTC), date(2028, 2, 1)),
    ],
)
def test_a_period_is_the_month_of_acceptance_in_utc(created_at: datetime, expected: date) -> None:
    assert period_of(created_at) == expected


def test_live_requests_count_in_order_of_their_ids() -> None:
    requests = (finished(3), finished(1), finished(4, mode="test"), finished(2, state="failed"))

    assert [usage.request_id for usage in countable(requests)] == [
        finished(number).id for number in (1, 2, 3)
    ]


def test_a_record_says_what_the_executor_told() -> None:
    told = finished(1, state="cancelled", attempts=0)

    [usage] = countable((told,))

    assert usage.state == "cancelled"
    assert usage.attempts == 0
    assert usage.created_at == told.created_at
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 5, 15)
