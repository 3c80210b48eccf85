"""The request ledger, bounded in time: a caller is never kept in doubt for longer than that."""

import asyncio
from collections.abc import Sequence
from typing import Final

from libs.ledger.accept import Accepted, Submission
from libs.ledger.connection import LedgerAway
from libs.ledger.ledger import GatewayLedger
from libs.ledger.look import Question, Standing, look
from libs.ledger.timeline import Attempt

PATIENCE_SECONDS: Final = 1.9
"""Queue and statement together. A little less than a statement alone may take: when one hangs, who
queues behind it has been refused before the next begins, and so is certainly not stored."""


class PatientLedger:
    """A Ledger. Who has waited too long gets LedgerAway; what was not begun by then never is."""

    def __init__(self, ledger: GatewayLedger) -> None:
        self._ledger = ledger

    async def accept(self, submission: Submission) -> Accepted:
        """See Ledger."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._ledger.accept(submission)
        except TimeoutError:
            raise LedgerAway from None

    async def look(self, question: Question) -> Standing | None:
        """See Ledger."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._ledger.look(question)
        except TimeoutError:
            raise LedgerAway from None

    async def find_final(self, questions: Sequence[Question]) -> set[str]:
        """See Ledger. Bounded by the statement's own time-out: only waiters' looks stand in it."""
        standings = await self._ledger.database.run(lambda connection: look(connection, questions))
        return {one.request_id for one in standings if one is not None and one.is_final}

    async def timeline(self, question: Question) -> list[Attempt] | None:
        """See Ledger."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._ledger.timeline(question)
        except TimeoutError:
            raise LedgerAway from None
