"""Filters of requests, as they are typed, and as the ledger is asked."""

import re
from argparse import ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from libs.common.commands import Argument
from libs.common.contracts.gateway import Mode
from libs.common.errors import InvalidInput
from libs.ledger.search import Wanted
from libs.ledger.states import State

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NAMES: Final = ("account", "project", "mode", "state", "model", "error_code", "since", "until")


class NoFilter(InvalidInput):
    """All requests of all projects were named."""

    code = "no_filter"

    def __init__(self) -> None:
        super().__init__("Name requests by id, or by at least one filter, such as --project.")


def when(text: str) -> datetime | timedelta:
    """`90s`, `15m`, `2h`, `7d` ago, or a time in ISO 8601; one without a zone is UTC."""
    found = _AGO.fullmatch(text)
    if found is not None:
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time: 15m, 2h, 7d, or 2026-11-23T08:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


FILTERS: Final[tuple[Argument, ...]] = (
    ("--account", {"metavar": "ID"}),
    ("--project", {"metavar": "ID"}),
    ("--mode", {"choices": get_args(Mode)}),
    ("--state", {"action": "append", "choices": [*State], "help": "may be repeated"}),
    ("--model", {"metavar": "NAME"}),
    ("--error-code", {"metavar": "CODE", "help": "the last one, such as provider_timeout"}),
    ("--since", {"type": when, "metavar": "WHEN", "help": "accepted then or later: 2h, or a time"}),
    ("--until", {"type": when, "metavar": "WHEN", "help": "accepted before then"}),
)


def is_any(given: Namespace) -> bool:
    """Whether at least one filter was named."""
    return any(getattr(given, name) is not None for name in _NAMES)


def wanted(given: Namespace, now: datetime, limit: int, before_id: str | None = None) -> Wanted:
    """The ledger's question."""
    return Wanted(
        account_id=given.account,
        project_id=given.project,
        mode=given.mode,
        states=None if given.state is None else frozenset(map(State, given.state)),
        model=given.model,
        error_code=given.error_code,
        created_after=_at(given.since, now),
        created_before=_at(given.until, now),
        before_id=before_id,
        limit=limit,
    )


def _at(moment: datetime | timedelta | None, now: datetime) -> datetime | None:
    return now - moment if isinstance(moment, timedelta) else moment
