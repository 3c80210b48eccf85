"""From a template to an answer: one environment, one set of headers for every page."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from markupsafe import Markup, escape

from services.accounts.pages import assets

_TEMPLATES: Final = Path(__file__).parent / "templates"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # The back button after a log-out, and a shared computer, show nothing of it.
    "cache-control": "no-store",
}
NOTHING: Final = "\N{EN DASH}"
"""Shown where there is no value."""

_TOO_WIDE: Final = 10_000_000
_HSTS: Final = "max-age=63072000; includeSubDomains"


def headers(*, is_secure: bool) -> dict[str, str]:
    """Of every page. `is_secure`: it is served over HTTPS, now and for ever."""
    return {**_HEADERS, **({"strict-transport-security": _HSTS} if is_secure else {})}


def environment() -> Environment:
    """Everything a template may use."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(moment=moment, day=day, duration=duration, number=number, rounded=rounded)
    made.globals.update(asset=assets.address)
    return made


def html(text: str, status: int, more: Mapping[str, str]) -> Response[bytes]:
    """An answer that is a page."""
    return Response(text.encode(), status_code=status, media_type="text/html", headers=dict(more))


def moment(at: datetime | None) -> Markup:
    """A time for people: UTC as it is served, local once the script of the page has run."""
    if at is None:
        return escape(NOTHING)
    utc = at.astimezone(UTC)
    return _time(utc, f"{utc:%d %b %Y, %H:%M:%S} UTC")


def day(at: datetime | None) -> Markup:
    """The same without the time of the day."""
    return (
        escape(NOTHING)
        if at is None
        else _time(at.astimezone(UTC), f"{at.astimezone(UTC):%d %b %Y}")
    )


def _time(utc: datetime, text: str) -> Markup:
    shape = Markup('<time datetime="{}" title="{:%Y-%m-%d %H:%M:%S} UTC">{}</time>')
    return shape.format(utc.isoformat(), utc, text)


def duration(span: timedelta | float | None) -> str:
    """`340 ms`, `2.1 s`, `4 min 10 s`, `3 h 5 min`, `12 days`. A number is seconds."""
    if span is None:
        return NOTHING
    seconds = span.total_seconds() if isinstance(span, timedelta) else float(span)
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:  # noqa: PLR2004  # a minute
        return f"{seconds:.1f} s"
    for unit, name, part, part_name in ((3600, "min", 60, "s"), (86_400, "h", 3600, "min")):
        if seconds < unit:
            whole, rest = divmod(round(seconds), part if name == "min" else 3600)
            rest = rest if name == "min" else rest // 60
            return f"{whole} {name} {rest} {part_name}" if rest else f"{whole} {name}"
    return f"{round(seconds / 86_400)} days"


def number(value: float) -> str:
    """`1,234,567`, and `0.25` as it is."""
    return f"{value:,}"


def rounded(value: int) -> str:
    """`9,999,999`, and `11.1 M`, `2.4 G` where that is too wide: the number itself is beside it."""
    if value < _TOO_WIDE:
        return number(value)
    return f"{value / 1e9:.1f} G" if value >= 1e9 else f"{value / 1e6:.1f} M"  # noqa: PLR2004


def of(rendering: Environment, name: str, values: Mapping[str, Any]) -> str:
    """The text of a page."""
    return rendering.get_template(name).render(values)
