"""What looks like abuse, by network and hour."""

from datetime import datetime
from enum import StrEnum


class Signal(StrEnum):
    """What is counted. Many of one from one network are worth a look; one is nothing.

    `….throttled`: a try over a bound of that name (`domain.throttles`).
    """

    SIGN_UP = "sign_up"
    SIGN_IN_FAILED = "sign_in.failed"
    PASSWORD_THROTTLED = "password.throttled"  # noqa: S105  # no password
    MAIL_THROTTLED = "mail.throttled"
    LINK_THROTTLED = "link.throttled"
    OTHER_THROTTLED = "other.throttled"


def throttled(bound: str) -> Signal:
    """What a try over the bound of this name counts as."""
    text = f"{bound.partition('.')[0]}.throttled"
    return Signal(text) if text in set(Signal) else Signal.OTHER_THROTTLED


def hour_of(moment: datetime) -> datetime:
    """When its hour began."""
    return moment.replace(minute=0, second=0, microsecond=0)
