"""What gateways say of the ledger, in small: the same pages, of requests that a test sets up."""

from collections import Counter
from datetime import datetime

import msgspec

from libs.common.contracts.executor import FinishedRequest
from libs.common.contracts.usage import (
    EndedAnswer,
    EndedQuestion,
    LedgerDay,
    LedgerUsageAnswer,
    UsageQuestion,
)
from services.billing.domain.drift import LedgerAway


class UsageStandIn:
    """Holds `requests` that ended. `open`: by account, requests that have not, of the first page.

    `vanished`: by account, requests that were accepted and are nowhere. `details`: questions about
    single requests so far.
    """

    def __init__(self, page: int) -> None:
        """`page`: requests a page."""
        self._page = page
        self.requests: list[FinishedRequest] = []
        self.open: dict[str, int] = {}
        self.vanished: dict[str, int] = {}
        self.erasing: list[str] = []
        self.is_away = False
        self.details = 0

    async def usage(self, question: UsageQuestion) -> LedgerUsageAnswer:
        """See services/billing/ports.py."""
        page, cursor = self._turn(question.from_, question.to, question.cursor)
        accounts = {request.account_id for request in page}
        if question.cursor is None:
            accounts |= self.open.keys() | self.vanished.keys()
        day, is_first = question.from_.date(), question.cursor is None
        return LedgerUsageAnswer(
            days=tuple(
                self._day(day, account, page, is_first=is_first) for account in sorted(accounts)
            ),
            erasing=tuple(self.erasing),
            cursor=cursor,
        )

    async def ended(self, question: EndedQuestion) -> EndedAnswer:
        """See services/billing/ports.py."""
        self.details += 1
        page, cursor = self._turn(question.from_, question.to, question.cursor)
        found = tuple(one for one in page if one.account_id in question.account)
        return EndedAnswer(requests=found, cursor=cursor)

    def _turn(
        self, low: datetime, high: datetime, after: str | None
    ) -> tuple[list[FinishedRequest], str | None]:
        if self.is_away:
            raise LedgerAway
        known = sorted(self.requests, key=lambda one: one.id)
        rest = [one for one in known if low <= one.created_at < high and one.id > (after or "")]
        page = rest[: self._page]
        return page, page[-1].id if len(page) == self._page else None

    def _day(
        self, day: object, account: str, page: list[FinishedRequest], *, is_first: bool
    ) -> LedgerDay:
        mine = [one for one in page if one.account_id == account]
        states = Counter(one.state for one in mine)
        still = self.open.get(account, 0) if is_first else 0
        nowhere = self.vanished.get(account, 0) if is_first else 0
        fields = {
            "account_id": account,
            "day": day,
            "accepted": len(mine) + still + nowhere,
            "open": still,
            **{state: states[state] for state in ("completed", "failed", "cancelled")},
            "prompt_tokens": sum(one.tokens.prompt for one in mine),
            "completion_tokens": sum(one.tokens.completion for one in mine),
            "total_tokens": sum(one.tokens.total for one in mine),
        }
        return msgspec.convert(fields, LedgerDay)
