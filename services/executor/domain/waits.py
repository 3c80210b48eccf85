"""How long a provider asks us to wait: its headers, read with suspicion.

A value we do not believe is ignored, as if it had not been sent: garbage, negative numbers, dates
gone by, and anything beyond a week, which no request outlives (`deadline_seconds`).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

LONGEST_BELIEVED: Final = timedelta(days=7)

_MAX_CHARS: Final = 64
_NUMBER: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_PART: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|us|µs|ns|d|h|m|s)")
_SECONDS: Final = {
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "ns": 1e-9,
}


class AskedWait(msgspec.Struct, frozen=True):
    """The provider wants `wait` to pass; `rule` is the header that says so."""

    wait: timedelta
    rule: str


def asked_wait(headers: Mapping[str, str], now: datetime) -> AskedWait | None:
    """What the headers of a refusal ask for; None if they ask for nothing believable.

    `retry-after-ms` before `Retry-After`, as OpenAI's own clients read them: it is the same wish,
    said more exactly. The resets come last: they tell when a whole allowance is back, which may be
    later than needed.
    """
    exact = parse_milliseconds(headers.get("retry-after-ms", ""))
    if exact is not None:
        return AskedWait(exact, "retry-after-ms")
    plain = parse_retry_after(headers.get("retry-after", ""), now)
    if plain is not None:
        return AskedWait(plain, "retry-after")
    return _longest_reset(headers)


def parse_milliseconds(text: str) -> timedelta | None:
    """A number of milliseconds, such as `120` or `33.5`."""
    return _believed(_number(text), timedelta(milliseconds=1))


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """RFC 9110, 10.2.3: seconds (fractions are taken too) or an HTTP date; `now` is aware."""
    seconds = _number(text)
    if seconds is not None:
        return _believed(seconds, timedelta(seconds=1))
    date = _date(text)
    if date is None or date <= now:
        return None
    wait = date - now
    return wait if wait <= LONGEST_BELIEVED else None


def parse_reset(text: str) -> timedelta | None:
    """OpenAI's durations: `6m5s`, `120ms`, `1h0m0.5s`; a bare number is seconds."""
    text = text.strip()
    if len(text) > _MAX_CHARS:
        return None
    seconds = _number(text)
    if seconds is None:
        parts = _PART.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            return None
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return _believed(seconds, timedelta(seconds=1))


def _longest_reset(headers: Mapping[str, str]) -> AskedWait | None:
    """The longest reset of an allowance that is not known to have something left.

    A full day's allowance may reset in hours while it is the minute's tokens that ran out.
    """
    found = []
    for what in ("requests", "tokens"):
        has_some_left = headers.get(f"x-ratelimit-remaining-{what}", "0").strip() != "0"
        wait = parse_reset(headers.get(f"x-ratelimit-reset-{what}", ""))
        if wait is not None and not has_some_left:
            found.append(AskedWait(wait, f"x-ratelimit-reset-{what}"))
    return max(found, key=lambda asked: asked.wait, default=None)


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _believed(amount: float | None, unit: timedelta) -> timedelta | None:
    if amount is None or amount > LONGEST_BELIEVED / unit:
        return None
    return amount * unit


def _date(text: str) -> datetime | None:
    """An HTTP date as aware UTC. The library raises many things at garbage; all mean "no date"."""
    if len(text) > _MAX_CHARS:
        return None
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
