"""How billing's books and the ledger differ about a day of an account."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, Self

import msgspec

from libs.common.contracts.executor import FinishedRequest
from libs.common.contracts.usage import LedgerDay
from libs.common.errors import Conflict, Unavailable

SETTLING: Final = timedelta(minutes=15)
"""The end of a request is on its way for so long, and nothing to wonder about."""

WHOLE_DAYS: Final = 2
"""The ledger keeps every request at least so many days after the one it was accepted on: its key
and its bodies have gone the day before (libs/ledger/migrations/sql/0006_retire.sql)."""


class LedgerAway(Unavailable):
    """No gateway answers what the ledger says."""

    def __init__(self) -> None:
        super().__init__("The ledger cannot be asked right now. Try again in a moment.")


class LedgerUnknown(Conflict):
    """We were not told where to ask: `GATEWAY_URL` and `SERVICE_KEY`."""

    code = "gateway_not_configured"

    def __init__(self) -> None:
        super().__init__("Set GATEWAY_URL and SERVICE_KEY to compare usage with the ledger.")


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """Final requests of an account and a day, and what they took."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    def has_more(self, other: Self) -> bool:
        """Of any state."""
        mine = (self.completed, self.failed, self.cancelled)
        theirs = (other.completed, other.failed, other.cancelled)
        return any(one > another for one, another in zip(mine, theirs, strict=True))


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of them. `counted`: the final ones."""

    accepted: int = 0
    open: int = 0
    counted: Counted = Counted()

    def plus(self, page: LedgerDay) -> "Accepted":
        """With another page."""
        names = Counted.__struct_fields__
        sums = {name: getattr(self.counted, name) + getattr(page, name) for name in names}
        return Accepted(
            accepted=self.accepted + page.accepted,
            open=self.open + page.open,
            counted=Counted(**sums),
        )

    @property
    def unsound(self) -> int:
        """How far accepted is from completed + failed + cancelled + open."""
        ended = self.counted.completed + self.counted.failed + self.counted.cancelled
        return abs(self.accepted - ended - self.open)


class Told(msgspec.Struct, frozen=True):
    """What we recorded of a request."""

    account_id: str
    state: str
    tokens: tuple[int, int, int]
    finished_at: datetime


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of an account and a day that differ.

    `missing`: final in the ledger, not recorded; `repaired`: of these, recorded now. `foreign`:
    recorded, not final in the ledger. `different`: recorded otherwise. `unsound`: accepted is not
    completed + failed + cancelled + open.
    """

    account_id: str
    day: date
    missing: int = 0
    repaired: int = 0
    foreign: int = 0
    different: int = 0
    unsound: int = 0

    @property
    def left(self) -> int:
        """What still differs."""
        return self.missing - self.repaired + self.foreign + self.different + self.unsound


class Difference(msgspec.Struct):
    """Of one page of requests."""

    missing: list[FinishedRequest]
    foreign: list[Told]
    different: list[FinishedRequest]


def is_suspect(books: Counted, ledger: Accepted, *, is_whole: bool) -> bool:
    """Whether requests have to be looked at one by one. Older days may have left the ledger."""
    if ledger.unsound:
        return True
    return books != ledger.counted if is_whole else ledger.counted.has_more(books)


def compare(
    ended: list[FinishedRequest], told: Mapping[str, Told], *, before: datetime, is_whole: bool
) -> Difference:
    """Of those that ended before; later ones are on their way."""
    found = Difference([], [], [])
    known = {request.id for request in ended}
    for request in ended:
        ours = told.get(request.id)
        if ours is None:
            if request.finished_at < before:
                found.missing.append(request)
        elif (ours.account_id, ours.state, ours.tokens) != _facts(request):
            found.different.append(request)
    if is_whole:
        foreign = (one for request_id, one in told.items() if request_id not in known)
        found.foreign.extend(one for one in foreign if one.finished_at < before)
    return found


def _facts(request: FinishedRequest) -> tuple[str, str, tuple[int, int, int]]:
    tokens = request.tokens
    return request.account_id, request.state, (tokens.prompt, tokens.completion, tokens.total)
