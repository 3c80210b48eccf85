"""Cancel or retry, one or many: the ledger says which, accounts does it, as for their owner.

In batches, a few of one at a time: what was done stays done when this is broken off, and to say it
again finds what is left. Who is refused for now is tried again when the gateway says.
"""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from deploy.operator.desk import Desk
from deploy.operator.requests import filters
from deploy.operator.screen import Advance
from libs.common.errors import AppError, LimitReached, NotFound
from libs.common.settings import load
from libs.ledger.operator_ledger import OperatorLedger
from libs.ledger.search import Found, Wanted
from libs.ledger.states import State
from services.accounts import app as accounts
from services.accounts.api import request_commands
from services.accounts.api.commands import Inputs
from services.accounts.settings import Settings as AccountsSettings

BATCH: Final = 100
"""Requests that are looked up at once."""

AT_ONCE: Final = 8
"""Changes under way."""

_TRIES: Final = 5
_LONGEST_WAIT: Final = 60.0

Do = Callable[[Any, Namespace, Any], Awaitable[Any]]


class Verb(msgspec.Struct, frozen=True):
    """What is done to a request, and to which."""

    name: str
    call: Do
    states: frozenset[State]


CANCEL: Final = Verb(
    "cancel",
    request_commands.cancel,
    frozenset({State.QUEUED, State.PROCESSING, State.RETRYING}),
)
RETRY: Final = Verb("retry", request_commands.retry, frozenset({State.FAILED}))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `code`: why it was refused. `made`: the request that a retry made."""

    request_id: str
    project_id: str
    state: State
    is_done: bool = False
    code: str | None = None
    made: str | None = None


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `is_good`: there was something, and nothing was refused."""

    is_good: bool
    verb: str
    is_dry_run: bool
    found: int
    done: int
    refused: int
    requests: list[Outcome]


class UnknownRequests(NotFound):
    """Some of the ids are nobody's."""

    code = "request_not_found"

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(f"There is no request {', '.join(ids)}; nothing was done.")


async def change(desk: Desk, ledger: OperatorLedger, verb: Verb, given: Namespace) -> Changed:
    """Do it, or say what would be done. Raises NoFilter, UnknownRequests, LedgerAway."""
    if not given.requests and not filters.is_any(given):
        raise filters.NoFilter
    found = await _find(desk, ledger, verb, given)
    if given.dry_run or not (given.requests or given.yes):
        told = [_untouched(one) for one in found]
        return _summed(verb, told, is_dry_run=True)
    settings = load(AccountsSettings, desk.installation.part("accounts"))
    with desk.screen.progress(verb.name.capitalize(), len(found)) as advance:
        work = Namespace(call=lambda ports, _, __: _do_all(ports, verb, found, advance))
        outcomes = await asyncio.to_thread(accounts.run_command, settings, work, Inputs())
    return _summed(verb, outcomes, is_dry_run=False)


async def _find(desk: Desk, ledger: OperatorLedger, verb: Verb, given: Namespace) -> list[Found]:
    if given.requests:
        return await _named(ledger, given.requests)
    asked = filters.wanted(given, desk.clock.now(), BATCH)
    states = verb.states if asked.states is None else asked.states & verb.states
    question = msgspec.structs.replace(asked, states=states)
    return [one async for one in _pages(ledger, question, given.limit)]


async def _named(ledger: OperatorLedger, ids: Sequence[str]) -> list[Found]:
    found = {one: await ledger.find(one) for one in ids}
    missing = [one for one, request in found.items() if request is None]
    if missing:
        raise UnknownRequests(missing)
    return [request for request in found.values() if request is not None]


async def _pages(ledger: OperatorLedger, question: Wanted, limit: int) -> AsyncIterator[Found]:
    """Newest first, at most `limit`."""
    last: str | None = None
    while limit > 0:
        asked = msgspec.structs.replace(question, before_id=last, limit=min(BATCH, limit))
        page = await ledger.search(asked)
        for one in page:
            yield one
        if len(page) < asked.limit:
            return
        last, limit = page[-1].id, limit - len(page)


async def _do_all(
    ports: Any, verb: Verb, found: Sequence[Found], advance: Advance
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    waiting = iter(found)
    while batch := list(islice(waiting, AT_ONCE)):
        outcomes += await asyncio.gather(*(_do(ports, verb, one) for one in batch))
        advance(len(batch))
    return outcomes


async def _do(ports: Any, verb: Verb, one: Found) -> Outcome:
    words = Namespace(project=one.project_id, request=one.id)
    for left in range(_TRIES, -1, -1):
        try:
            changed = await verb.call(ports, words, None)
        except LimitReached as refused:
            if not left or not await _heal(refused):
                return _refused(one, refused)
        except AppError as refused:
            return _refused(one, refused)
        else:
            made = changed.request_id if changed.request_id != one.id else None
            return msgspec.structs.replace(_untouched(one), is_done=True, made=made)
    raise AssertionError("unreachable")  # pragma: no cover


async def _heal(refused: LimitReached) -> bool:
    """Wait as long as the gateway said; False where that is not worth it."""
    wait = refused.retry_after.total_seconds() if refused.retry_after else _LONGEST_WAIT + 1
    if wait > _LONGEST_WAIT:
        return False
    await asyncio.sleep(wait)
    return True


def _untouched(one: Found) -> Outcome:
    return Outcome(request_id=one.id, project_id=one.project_id, state=one.state)


def _refused(one: Found, why: AppError) -> Outcome:
    return msgspec.structs.replace(_untouched(one), code=why.code)


def _summed(verb: Verb, outcomes: list[Outcome], *, is_dry_run: bool) -> Changed:
    done = sum(one.is_done for one in outcomes)
    refused = sum(one.code is not None for one in outcomes)
    return Changed(
        is_good=bool(outcomes) and not refused,
        verb=verb.name,
        is_dry_run=is_dry_run,
        found=len(outcomes),
        done=done,
        refused=refused,
        requests=outcomes,
    )
