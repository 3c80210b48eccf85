"""How long a caller wants to be kept waiting for the result."""

import re
from datetime import timedelta
from typing import Final

import msgspec

from services.gateway.domain.errors import UnsupportedParameter
from services.gateway.domain.submissions import MAX_WAIT, Wish

NO_WAIT: Final = timedelta()


class Default(msgspec.Struct, frozen=True):
    """For calls that do not say. `is_wanted`: they wait; `wait`: for how long."""

    wait: timedelta
    is_wanted: bool


_PREFERENCE: Final = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?', re.IGNORECASE | re.ASCII)
_QUERY: Final = re.compile(r"\d{1,3}(?:\.\d{1,30})?(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def parse_preference(header: str | None) -> timedelta | None:
    """The `wait` of a Prefer header (RFC 7240, 4.3). What is malformed is ignored, as it says."""
    if header is None:
        return None
    for preference in header.split(","):
        found = _PREFERENCE.fullmatch(preference)
        if found is not None:
            return min(timedelta(seconds=int(found[1])), MAX_WAIT)
    return None


def parse_query(text: str | None) -> timedelta:
    """The `wait` of a query string, in seconds. Raises UnsupportedParameter."""
    if text is None:
        return NO_WAIT
    seconds = float(text) if _QUERY.fullmatch(text) else -1.0
    if not 0 <= seconds <= MAX_WAIT.total_seconds():
        raise UnsupportedParameter("`wait` must be a number of seconds from 0 to 600.")
    return timedelta(seconds=seconds)


def choose(wish: Wish, preference: timedelta | None, default: Default) -> timedelta:
    """How long to wait; zero for not at all.

    The body decides whether. Where it does not say, asking to wait for some time (in Prefer) is
    asking to wait, and so is using a drop-in key. How long: the body, else Prefer, else `default`.
    """
    wants = wish.wants_wait
    if wants is None:
        wants = default.is_wanted if preference is None else bool(preference)
    if not wants:
        return NO_WAIT
    if wish.wait_timeout is not None:
        return wish.wait_timeout
    return default.wait if preference is None else preference
