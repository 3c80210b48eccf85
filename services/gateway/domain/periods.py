"""The period that a monthly quota counts: the calendar month in UTC."""

from datetime import datetime, timedelta


def next_month(now: datetime) -> datetime:
    """When the count starts anew. `now`: aware UTC."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
