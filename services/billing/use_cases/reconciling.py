"""Compare the books with the ledger, day by day; record what is missing.

Sums are compared first; only where they differ requests are compared one by one. Deleted accounts
are left out, and those being erased just now. A record that the ledger does not know, or knows
otherwise, is told and stays: what was counted is never changed (migration 0002).
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, TypeVar

import msgspec
from prometheus_client import Counter

from libs.common import periods
from libs.common.contracts.executor import FinishedRequest, RequestsFinished
from libs.common.contracts.usage import MAX_ACCOUNTS, EndedQuestion, UsageQuestion
from libs.common.errors import InvalidInput
from services.billing.domain.drift import (
    SETTLING,
    WHOLE_DAYS,
    Accepted,
    Counted,
    Drift,
    LedgerUnknown,
    compare,
    is_suspect,
)
from services.billing.ports import Ledger, Ports
from services.billing.repositories.comparing import ComparingRepository
from services.billing.use_cases.usage import Recorder

REPAIRED: Final = Counter("reqrun_usage_repaired_total", "Requests that only the ledger told")

Item = TypeVar("Item")

_DAY: Final = timedelta(days=1)
_AT_ONCE: Final = 500


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of days from `first` to `last`, and where the books differ.

    `accounts`: of days, each account once a day.
    """

    first: date
    last: date
    accounts: int
    accepted: int
    completed: int
    failed: int
    cancelled: int
    open: int
    left: int
    drifts: list[Drift]


async def reconcile(ports: Ports, first: date, last: date, *, is_repairing: bool) -> Reconciliation:
    """Both days included. Raises InvalidInput, LedgerUnknown, LedgerAway, DatabaseAway.

    Again does no harm.
    """
    if last < first:  # of no day at all, everything agrees
        raise InvalidInput("The first day comes after the last one.")
    if ports.ledger is None:
        raise LedgerUnknown
    comparison = _Comparison(ports, ports.ledger, is_repairing=is_repairing)
    days = [first + number * _DAY for number in range((last - first).days + 1)]
    for day in days:
        await comparison.compare_day(day)
    totals = comparison.totals
    return Reconciliation(
        first=first,
        last=last,
        accounts=comparison.accounts,
        accepted=totals.accepted,
        completed=totals.counted.completed,
        failed=totals.counted.failed,
        cancelled=totals.counted.cancelled,
        open=totals.open,
        left=sum(drift.left for drift in comparison.drifts),
        drifts=comparison.drifts,
    )


class _Day(msgspec.Struct, frozen=True):
    """`before`: what ended later is on its way. `is_whole`: nothing of it has left the ledger."""

    day: date
    low: datetime
    high: datetime
    before: datetime
    is_whole: bool


class _Comparison:
    """Of some days. Keeps what was found."""

    def __init__(self, ports: Ports, ledger: Ledger, *, is_repairing: bool) -> None:
        self._ports, self._ledger, self._is_repairing = ports, ledger, is_repairing
        self._recorder = Recorder(ports)
        self.accounts, self.totals = 0, Accepted()
        self.drifts: list[Drift] = []

    async def compare_day(self, day: date) -> None:
        now = self._ports.clock.now()
        low = periods.midnight(day)
        is_whole = day >= now.date() - WHOLE_DAYS * _DAY
        of = _Day(day, low, low + _DAY, now - SETTLING, is_whole)
        ledger, erasing = await self._ask(of)
        async with self._ports.db.transaction() as tx:
            comparing = ComparingRepository(tx)
            books = await comparing.of_day(day)
            left_out = erasing | await comparing.closed([*books, *ledger])
        known = sorted((books.keys() | ledger.keys()) - left_out)
        self.accounts += len(known)
        suspects = [
            account
            for account in known
            if is_suspect(
                books.get(account, Counted()),
                ledger.get(account, Accepted()),
                is_whole=is_whole,
            )
        ]
        for some in _parts(suspects, MAX_ACCOUNTS):
            found = {
                account: Drift(
                    account_id=account,
                    day=day,
                    unsound=ledger.get(account, Accepted()).unsound,
                )
                for account in some
            }
            await self._look_at_each(of, found)
            self.drifts += [drift for drift in found.values() if drift.missing or drift.left]

    async def _ask(self, of: _Day) -> tuple[dict[str, Accepted], set[str]]:
        """What the ledger says of each account, and who is being erased."""
        found: dict[str, Accepted] = {}
        erasing: set[str] = set()
        cursor: str | None = None
        while True:
            question = UsageQuestion(from_=of.low, to=of.high, cursor=cursor)
            page = await self._ledger.usage(question)
            for day in page.days:
                found[day.account_id] = found.get(day.account_id, Accepted()).plus(day)
                self.totals = self.totals.plus(day)
            erasing.update(page.erasing)
            cursor = page.cursor
            if cursor is None:
                return found, erasing

    async def _look_at_each(self, of: _Day, found: dict[str, Drift]) -> None:
        """Page by page of the ledger's, beside our records of the same ids."""
        after: str | None = None
        while True:
            question = EndedQuestion(from_=of.low, to=of.high, account=tuple(found), cursor=after)
            page = await self._ledger.ended(question)
            async with self._ports.db.transaction() as tx:
                told = await ComparingRepository(tx).records(
                    tuple(found), of.low, of.high, after=after, last=page.cursor
                )
            ended = list(page.requests)
            difference = compare(ended, told, before=of.before, is_whole=of.is_whole)
            for request in difference.missing:
                _add(found, request.account_id, "missing")
            for request in difference.different:
                _add(found, request.account_id, "different")
            for record in difference.foreign:
                _add(found, record.account_id, "foreign")
            if self._is_repairing:
                await self._repair(difference.missing)
                for request in difference.missing:
                    _add(found, request.account_id, "repaired")
            after = page.cursor
            if after is None:
                return

    async def _repair(self, missing: Sequence[FinishedRequest]) -> None:
        """As if it had been told now."""
        for some in _parts(missing, _AT_ONCE):
            await self._recorder.record(RequestsFinished(requests=tuple(some)))
            REPAIRED.inc(len(some))


def _add(found: dict[str, Drift], account_id: str, name: str) -> None:
    drift = found[account_id]
    found[account_id] = msgspec.structs.replace(drift, **{name: getattr(drift, name) + 1})


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
