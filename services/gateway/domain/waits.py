"""How long a caller wants to be kept waiting for the result."""

import re
from datetime import timedelta
from typing import Final

from services.gateway.domain.errors import UnsupportedParameter
from services.gateway.domain.submissions import MAX_WAIT, Chat

NO_WAIT: Final = timedelta()

_PREFERENCE: Final = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?', re.IGNORECASE | re.ASCII)
_QUERY: Final = re.compile(r"\d{1,3}(?:\.\d{1,3})?", re.ASCII)


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
    wait = timedelta(seconds=float(text)) if _QUERY.fullmatch(text) else None
    if wait is None or wait > MAX_WAIT:
        raise UnsupportedParameter("`wait` must be a number of seconds from 0 to 600.")
    return wait


def choose(chat: Chat, preference: timedelta | None, default: timedelta) -> timedelta:
    """How long to wait; zero for not at all.

    The body decides whether. Where it does not say, asking to wait for some time (in Prefer) is
    asking to wait. How long: the body, else Prefer, else `default`.
    """
    wants = chat.wants_wait if chat.wants_wait is not None else bool(preference)
    if not wants:
        return NO_WAIT
    if chat.wait_timeout is not None:
        return chat.wait_timeout
    return default if preference is None else preference
