"""`reqrun requests list | show | retry | cancel`."""

from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from deploy.operator.desk import Desk
from deploy.operator.requests import changing, filters
from deploy.operator.requests.changing import Changed
from libs.common.commands import Argument, Command
from libs.common.contracts.gateway import RequestRow
from libs.common.errors import NotFound
from libs.common.ids import is_id
from libs.ledger.operator_ledger import OperatorLedger
from libs.ledger.search import Found
from services.accounts.pages.timeline import Moment, tell
from services.gateway.api import answers

_PAGE: Final = 50


class RequestsFound(msgspec.Struct, frozen=True):
    """A page, newest first. `is_good`: there is at least one. `before`: of the next page."""

    is_good: bool
    requests: list[Found]
    before: str | None


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One request from its accept to where it stands, in words; none of its content."""

    request: RequestRow
    project_id: str
    moments: list[Moment]


class NoSuchRequest(NotFound):
    """No project has it, or it was retired."""

    code = "request_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such request, or its time is over.")


async def list_requests(desk: Desk, given: Namespace) -> RequestsFound:
    """`requests list`."""
    question = filters.wanted(given, desk.clock.now(), given.limit + 1, given.before)
    async with opened(desk) as ledger:
        found = await ledger.search(question)
    page = found[: given.limit]
    has_more = len(found) > len(page)
    return RequestsFound(bool(page), page, page[-1].id if has_more else None)


async def show(desk: Desk, given: Namespace) -> Story:
    """`requests show`."""
    async with opened(desk) as ledger:
        found = await ledger.show(given.request) if is_id("rr", given.request) else None
    if found is None:
        raise NoSuchRequest
    project_id, shown = found
    answer = answers.request(shown)
    moments = tell(answer, desk.clock.now())
    return Story(request=answer.request, project_id=project_id, moments=moments)


async def cancel(desk: Desk, given: Namespace) -> Changed:
    """`requests cancel`."""
    async with opened(desk) as ledger:
        return await changing.change(desk, ledger, changing.CANCEL, given)


async def retry(desk: Desk, given: Namespace) -> Changed:
    """`requests retry`."""
    async with opened(desk) as ledger:
        return await changing.change(desk, ledger, changing.RETRY, given)


@asynccontextmanager
async def opened(desk: Desk) -> AsyncIterator[OperatorLedger]:
    """The operator's hand on the ledger. Raises SettingsError."""
    ledger = OperatorLedger(desk.needed("ledger_url").reveal())
    try:
        yield ledger
    finally:
        await ledger.close()


_CHANGE: Final[tuple[Argument, ...]] = (
    ("requests", {"nargs": "*", "metavar": "REQUEST_ID"}),
    *filters.FILTERS,
    ("--limit", {"type": int, "default": 1_000, "metavar": "N", "help": "at most so many (1000)"}),
    ("--yes", {"action": "store_true", "help": "do it, to all that the filters name"}),
    (
        "--dry-run",
        {"action": "store_true", "help": "only say what would be done; with filters the default"},
    ),
)

COMMANDS: Final = {
    "requests list": Command(
        list_requests,
        "list requests of all projects, newest first; 1 where there is none",
        (
            *filters.FILTERS,
            ("--limit", {"type": int, "default": _PAGE, "metavar": "N", "help": "a page (50)"}),
            ("--before", {"metavar": "REQUEST_ID", "help": "the page after one that ended there"}),
        ),
    ),
    "requests show": Command(
        show,
        "tell what happened to a request, and what it waits for",
        (("request", {"metavar": "REQUEST_ID"}),),
    ),
    "requests cancel": Command(
        cancel, "end open requests: those named, or, with --yes, all that filters find", _CHANGE
    ),
    "requests retry": Command(
        retry, "submit failed requests again: those named, or, with --yes, all found", _CHANGE
    ),
}
