"""Periods of use: months in UTC that begin on a day of the account's own, its anchor day.

An account's anchor day is 1 until it first buys something; from then on the day its subscription
began. A month without that day begins on its last one, as subscriptions do (Stripe's and Paddle's
rule): anchored on the 31st, February's period begins on the 28th and March's on the 31st again.
`period_start_v1` in the ledger's migrations is the same rule; a test holds the two together.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

ANCHOR_DAYS: Final = range(1, 32)


def period_of(anchor_day: int, moment: datetime) -> date:
    """The first day of the period that `moment` (aware) is in."""
    today = moment.astimezone(UTC).date()
    first = _in_month_of(today, anchor_day)
    return first if first <= today else _in_month_of(today.replace(day=1) - _DAY, anchor_day)


def next_period(anchor_day: int, begins_on: date) -> date:
    """The first day of the period after the one that begins on `begins_on`."""
    return _in_month_of(begins_on.replace(day=28) + 4 * _DAY, anchor_day)


def resets_at(anchor_day: int, now: datetime) -> datetime:
    """When the count of the period that `now` is in starts anew."""
    return midnight(next_period(anchor_day, period_of(anchor_day, now)))


def midnight(day: date) -> datetime:
    """Its first moment in UTC."""
    return datetime.combine(day, time(), UTC)


def _in_month_of(day: date, anchor_day: int) -> date:
    _, length = monthrange(day.year, day.month)
    return day.replace(day=min(anchor_day, length))


_DAY: Final = timedelta(days=1)
