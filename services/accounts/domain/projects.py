"""What a project may set for itself."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from typing import Any, Final

import msgspec

from libs.common.contracts.accounts import OnUnknownOutcome
from services.accounts.domain.errors import FieldErrors, InvalidProjectSettings
from services.accounts.domain.forms import Fields
from services.accounts.domain.names import check_name

MOST: Final = 2**31 - 1  # the columns are 32 bits wide
MOST_NETWORKS: Final = 50
_DAY_SECONDS: Final = 86_400

SEEN: Final = "seen"
"""The field of a form that says what its page showed."""

_CHANGED: Final = (
    "These settings were saved elsewhere since this page was opened. Look at what is said beside"
    " the fields; saving again puts yours in their place."
)
_FIELDS: Final = {
    "name": "name",
    "requests_per_minute": "requests_per_minute",
    "running": "running",
    "retention_seconds": "retention_days",
    "metadata_seconds": "metadata_days",
    "on_unknown_outcome": "on_unknown_outcome",
    "allowed_addresses": "allowed_addresses",
}
"""By column, the field that is about it."""


class ProjectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; None stays as it is. `retention`: how long bodies are kept.

    `metadata`: how long records of requests are.
    `allowed_addresses`: the only networks (CIDR) that calls may come from; none at all: any.
    """

    requests_per_minute: int | None = None
    running: int | None = None
    retention: timedelta | None = None
    metadata: timedelta | None = None
    on_unknown_outcome: OnUnknownOutcome | None = None
    allowed_addresses: tuple[str, ...] | None = None


class WholeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All of a project's settings as somebody typed them. An empty limit follows the account's."""

    name: str
    requests_per_minute: str
    running: str
    retention_days: str
    metadata_days: str
    on_unknown_outcome: str
    allowed_addresses: str


def check_whole(wish: WholeSettings) -> dict[str, Any]:
    """Every column. Raises FieldErrors, about all that is wrong."""
    fields, changes = Fields(), dict[str, Any]()
    with fields.check("name"):
        changes["name"] = check_name(wish.name)
    with fields.check("requests_per_minute"):
        changes["requests_per_minute"] = _limit(wish.requests_per_minute)
    with fields.check("running"):
        changes["running"] = _limit(wish.running)
    with fields.check("retention_days"):
        days = _limit(wish.retention_days, MOST // _DAY_SECONDS)
        changes["retention_seconds"] = None if days is None else days * _DAY_SECONDS
    with fields.check("metadata_days"):
        days = _limit(wish.metadata_days, MOST // _DAY_SECONDS)
        changes["metadata_seconds"] = None if days is None else days * _DAY_SECONDS
    with fields.check("allowed_addresses"):
        changes["allowed_addresses"] = _networks(tuple(wish.allowed_addresses.split()))
    fields.end()
    changes["on_unknown_outcome"] = "fail" if wish.on_unknown_outcome == "fail" else "retry"
    return changes


def settings_of(columns: object) -> dict[str, Any]:
    """As `check_whole` answers them, of a project as it stands."""
    return {name: getattr(columns, name) for name in _FIELDS}


def mark_of(settings: Mapping[str, Any]) -> str:
    """Goes with the form that shows them, and tells later whether they were changed since."""
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()[:16]


def check_unchanged(now: Mapping[str, Any], wish: Mapping[str, Any]) -> None:
    """For a form that showed something else. Sent twice it is no trouble, for its wish is there.

    Raises FieldErrors: what stands there now, beside each field that differs.
    """
    differing = {
        field: f"Here it is {_said(name, now[name])} now."
        for name, field in _FIELDS.items()
        if now[name] != wish[name]
    }
    if differing:
        raise FieldErrors({SEEN: _CHANGED, **differing})


def _said(column: str, value: Any) -> str:
    if value and column.endswith("_seconds"):
        value = f"{value / _DAY_SECONDS:g}"
    text = ", ".join(value) if isinstance(value, list) else str(value or "")
    return f"“{text}”" if text else "empty"


def _limit(text: str, most: int = MOST) -> int | None:
    text = text.strip()
    if not text:
        return None
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if not is_number or not 1 <= int(text) <= most:
        raise InvalidProjectSettings(f"Write a whole number from 1 to {most:,}, or nothing.")
    return int(text)


def check_settings(wish: ProjectSettings) -> dict[str, Any]:
    """The changes by column. Raises InvalidProjectSettings."""
    retention, metadata = wish.retention, wish.metadata
    changes: dict[str, Any] = {
        "requests_per_minute": wish.requests_per_minute,
        "running": wish.running,
        "retention_seconds": None if retention is None else int(retention.total_seconds()),
        "metadata_seconds": None if metadata is None else int(metadata.total_seconds()),
        "on_unknown_outcome": wish.on_unknown_outcome,
        "allowed_addresses": _networks(wish.allowed_addresses),
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if not changes:
        raise InvalidProjectSettings("Nothing to set was named.")
    numbers = [value for value in changes.values() if isinstance(value, int)]
    if not all(1 <= number <= MOST for number in numbers):
        raise InvalidProjectSettings(f"A limit is a number from 1 to {MOST}.")
    return changes


def _networks(texts: tuple[str, ...] | None) -> list[str] | None:
    if texts is None:
        return None
    if len(texts) > MOST_NETWORKS:
        raise InvalidProjectSettings(f"At most {MOST_NETWORKS} networks may be allowed.")
    try:
        return [str(ip_network(text)) for text in texts]
    except ValueError:
        raise InvalidProjectSettings(
            "A network is written like 192.0.2.0/24 or 2001:db8::/32."
        ) from None
