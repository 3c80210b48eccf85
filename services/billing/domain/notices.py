"""What Paddle tells in one webhook, before anybody looks at what it is about."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

EventId = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,80}$")]
EventType = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,100}$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

UNREADABLE: Final = "unreadable-"


class Unreadable(ValueError):
    """The bytes are not what Paddle documents. Carries none of them."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `occurred_at` orders events about one thing, `event_id` those of one moment.

    `data`: the thing as it was then, JSON.
    """

    event_id: EventId
    event_type: EventType
    occurred_at: Moment
    data: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def family(self) -> str:
        """What it is about: `subscription` of `subscription.updated`."""
        return self.event_type.partition(".")[0]


_DECODE: Final = msgspec.json.Decoder(Notice).decode


def read(body: bytes) -> Notice:
    """The event in a webhook's body. Raises Unreadable."""
    try:
        notice = _DECODE(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("These bytes are no event.") from None
    check_moment(notice.occurred_at)
    return notice


def check_moment(moment: datetime) -> None:
    """Raises Unreadable for one that no payment has, and that nothing can be added to."""
    if not _EARLIEST <= moment < _LATEST:
        raise Unreadable("This is no moment of a payment.")


_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def name_unreadable(body: bytes) -> str:
    """What stands for the event id of bytes that have none: the same bytes are kept once."""
    return UNREADABLE + hashlib.sha256(body).hexdigest()[:40]
