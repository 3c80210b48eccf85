"""How a failed request looks to a caller who thinks it speaks to the provider (drop-in keys)."""

from typing import Final

import msgspec

_STATUSES: Final = {
    "deadline_exceeded": 504,
    "provider_timeout": 504,
    "provider_rate_limited": 429,
    "provider_unavailable": 503,
    "no_provider_connection": 400,
    "cancelled": 409,
}
_BAD_GATEWAY: Final = 502
_FIRST_ERROR: Final = 400


class Seen(msgspec.Struct, frozen=True):
    """The provider's last word."""

    status: int
    body: bytes


def as_the_provider_said(status: int | None, body: bytes | None) -> Seen | None:
    """What the last attempt met, where that is an error with a body in JSON."""
    if status is None or status < _FIRST_ERROR or body is None or not _is_json(body):
        return None
    return Seen(status, body)


def status_of(error_code: str | None) -> int:
    """What our own reason for failing comes to in HTTP."""
    return _STATUSES.get(error_code or "", _BAD_GATEWAY)


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
