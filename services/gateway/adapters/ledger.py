"""The request ledger, bounded in time: a caller is never kept in doubt for longer than that."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

from libs.ledger.accept import Submission, Verdict
from libs.ledger.cancel import CancelAnswer, Change
from libs.ledger.connection import LedgerAway
from libs.ledger.counters import Counters
from libs.ledger.erase import EraseAnswer
from libs.ledger.export import ExportPage
from libs.ledger.ledger import GatewayLedger
from libs.ledger.list_requests import Listed, ListQuestion
from libs.ledger.look import Question, Standing, look
from libs.ledger.nonces import Nonce
from libs.ledger.original import Original
from libs.ledger.reveal import Revealed
from libs.ledger.show import Shown
from libs.ledger.stats import Stats, StatsLimits, StatsRange
from libs.ledger.timeline import Attempt
from libs.ledger.usage import EndedPage, TallyPage, UsageRange

Answer = TypeVar("Answer")

PATIENCE_SECONDS: Final = 1.9
"""Queue and statement together. A little less than a statement alone may take: when one hangs, who
queues behind it has been refused before the next begins, and so is certainly not stored."""


class PatientLedger:
    """A Ledger. Who has waited too long gets LedgerAway; what was not begun by then never is."""

    def __init__(self, ledger: GatewayLedger) -> None:
        self._ledger = ledger

    async def accept(self, submission: Submission) -> Verdict:
        """See Ledger."""
        return await _patiently(self._ledger.accept(submission))

    async def spend(self, nonce: Nonce) -> bool:
        """See Ledger."""
        return await _patiently(self._ledger.spend(nonce))

    async def look(self, question: Question) -> Standing | None:
        """See Ledger."""
        return await _patiently(self._ledger.look(question))

    async def find_final(self, questions: Sequence[Question]) -> set[str]:
        """See Ledger. Bounded by the statement's own time-out: only waiters' looks stand in it."""
        standings = await self._ledger.database.run(lambda connection: look(connection, questions))
        return {one.request_id for one in standings if one is not None and one.is_final}

    async def list_requests(self, asked: ListQuestion) -> list[Listed]:
        """See Ledger."""
        return await _patiently(self._ledger.list_requests(asked))

    async def cancel(self, change: Change) -> CancelAnswer:
        """See Ledger."""
        return await _patiently(self._ledger.cancel(change))

    async def erase(self, change: Change) -> EraseAnswer:
        """See Ledger."""
        return await _patiently(self._ledger.erase(change))

    async def find_original(self, question: Question) -> Original | None:
        """See Ledger."""
        return await _patiently(self._ledger.find_original(question))

    async def timeline(self, question: Question) -> list[Attempt] | None:
        """See Ledger."""
        return await _patiently(self._ledger.timeline(question))

    async def show(self, project_id: str, request_id: str) -> Shown | None:
        """See Ledger."""
        return await _patiently(self._ledger.show(project_id, request_id))

    async def reveal(self, question: Question) -> Revealed | None:
        """See Ledger."""
        return await _patiently(self._ledger.reveal(question))

    async def export_page(self, asked: ListQuestion, *, has_content: bool) -> ExportPage:
        """See Ledger."""
        return await _patiently(self._ledger.export_page(asked, has_content=has_content))

    async def read_stats(self, of: StatsRange, limits: StatsLimits) -> Stats:
        """See Ledger."""
        return await _patiently(self._ledger.read_stats(of, limits))

    async def read_counters(self, account_id: str, anchor_day: int) -> Counters:
        """See Ledger."""
        return await _patiently(self._ledger.read_counters(account_id, anchor_day))

    async def tally_usage(self, of: UsageRange) -> TallyPage:
        """See Ledger."""
        return await _patiently(self._ledger.usage.tally(of))

    async def list_ended(self, of: UsageRange, account_ids: list[str]) -> EndedPage:
        """See Ledger."""
        return await _patiently(self._ledger.usage.list_ended(of, account_ids))

    async def list_erasing(self) -> list[str]:
        """See Ledger."""
        return await _patiently(self._ledger.usage.list_erasing())


async def _patiently(answer: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await answer
    except TimeoutError:
        raise LedgerAway from None
