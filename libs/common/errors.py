"""The kinds of error, and what every one of them carries.

A service's errors derive from one kind, state the fact in their text ("for people: what was wrong,
what to do") and name a stable `code`. `libs.common.web.errors` is the one table that knows HTTP.
A text never contains a secret, a prompt or an answer.
"""

from datetime import timedelta
from typing import ClassVar


class AppError(Exception):
    """Anything we refuse or cannot do, on purpose. `retry_after`: when time alone may heal it."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, text: str, *, retry_after: timedelta | None = None) -> None:
        """`text` is shown to the caller."""
        super().__init__(text)
        self.retry_after = retry_after


class InvalidInput(AppError):
    """The caller sent something that can never be right."""

    code = "invalid_body"


class Unauthenticated(AppError):
    """We do not know who is calling."""

    code = "invalid_api_key"


class Forbidden(AppError):
    """We know who is calling, and they may not."""

    code = "forbidden"


class NotFound(AppError):
    """There is no such thing, or not for this caller: the two look the same on purpose."""

    code = "not_found"


class MethodNotAllowed(AppError):
    """The path is there, the method is not."""

    code = "method_not_allowed"


class Conflict(AppError):
    """It contradicts something that is already true."""

    code = "conflict"


class Gone(AppError):
    """It was there, and will not come back."""

    code = "gone"


class TooLarge(AppError):
    """More bytes than we take."""

    code = "body_too_large"


class LimitReached(AppError):
    """Too many or too much for now."""

    code = "rate_limit_exceeded"


class TimedOut(AppError):
    """The caller's own time is over; what was asked for goes on."""

    code = "wait_timeout"


class Unavailable(AppError):
    """Something we depend on is away. Whether the work was done may be unknown.

    Time may always heal it, so it always says when to try again.
    """

    code = "unavailable"

    def __init__(self, text: str, *, retry_after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(text, retry_after=retry_after)
