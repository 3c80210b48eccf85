"""The ledger as its users see it: hands on one record, each with only its own verbs.

Every verb is group-committed (libs.common.batching): callers name one item and get one answer.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from libs.common.batching import Batch, Scales
from libs.ledger import (
    accept,
    cancel,
    claim,
    counters,
    erase,
    export,
    finish,
    give_back,
    list_requests,
    look,
    nonces,
    original,
    renew,
    reveal,
    show,
    stats,
    timeline,
)
from libs.ledger.accept import Submission, Verdict
from libs.ledger.cancel import CancelAnswer, Change
from libs.ledger.claim import Claim
from libs.ledger.connection import LEDGER_TROUBLE, Database, ItemRefused, Options, Plans
from libs.ledger.counters import Counters
from libs.ledger.erase import EraseAnswer
from libs.ledger.export import ExportPage
from libs.ledger.finish import Finish, Finished
from libs.ledger.give_back import GiveBack
from libs.ledger.list_requests import Listed, ListQuestion
from libs.ledger.look import Question, Standing
from libs.ledger.nonces import Nonce
from libs.ledger.original import Original
from libs.ledger.renew import Lease
from libs.ledger.reveal import Revealed
from libs.ledger.show import Shown
from libs.ledger.stats import Stats, StatsLimits, StatsRange
from libs.ledger.timeline import Attempt
from libs.ledger.usage import UsageReader

ACCEPT_TIMEOUT: Final = timedelta(seconds=2)
WORK_TIMEOUT: Final = timedelta(seconds=5)

# What one statement may carry: a hundred megabytes a second are written, of which it may take less.
ACCEPT_BYTES: Final = 8 * 1024 * 1024
ACCEPT_QUEUE_BYTES: Final = 16 * ACCEPT_BYTES
FINISH_BYTES: Final = 16 * 1024 * 1024


class GatewayLedger:
    """Appends and reads."""

    def __init__(self, url: str, *, connections: int = 4) -> None:
        options = Options(connections, ACCEPT_TIMEOUT)
        self.database = Database(url, options, name="gateway", plans=Plans.MADE_ONCE)
        self._bodies = Database(url, options, name="gateway bodies")
        self.usage = UsageReader(self._bodies)
        self._accept: Batch[Submission, Verdict] = Batch(
            partial(self.database.run_batch, work=accept.accept), name="accept", workers=2
        )
        self._accept.weighing(Scales(Submission.weigh, ACCEPT_BYTES, ACCEPT_QUEUE_BYTES))
        self._look: Batch[Question, Standing | None] = Batch(
            self._look_at_all, name="look", workers=2
        )
        self._bring: Batch[Question, Standing | None] = Batch(
            self._look_at_one, name="large results", limit=1, workers=2
        )
        self._spend: Batch[Nonce, bool] = Batch(
            partial(self.database.run_batch, work=nonces.spend), name="nonces", workers=2
        )

    async def accept(self, submission: Submission) -> Verdict:
        """Store it; returns after COMMIT. Raises LedgerAway (perhaps stored), ItemRefused."""
        return await self._accept(submission)

    async def spend(self, nonce: Nonce) -> bool:
        """Spend a read's nonce; False where it was spent before. Raises LedgerAway, ItemRefused."""
        return await self._spend(nonce)

    async def look(self, question: Question) -> Standing | None:
        """Where a request stands. Raises LedgerAway. A large result is brought by itself."""
        standing = await self._look(question)
        if standing is not None and standing.is_left_out:
            standing = await self._bring(question)
        return standing

    async def find_original(self, question: Question) -> Original | None:
        """What a retry repeats. Raises LedgerAway."""
        return await self._bodies.run(
            lambda connection: original.find_original(connection, question)
        )

    async def timeline(self, question: Question) -> list[Attempt] | None:
        """Its attempts. Raises LedgerAway."""
        return await self._bodies.run(lambda connection: timeline.timeline(connection, question))

    async def list_requests(self, question: ListQuestion) -> list[Listed]:
        """A page of a project's requests, newest first. Raises LedgerAway."""
        return await self._bodies.run(
            lambda connection: list_requests.list_requests(connection, question)
        )

    async def show(self, project_id: str, request_id: str) -> Shown | None:
        """One request whole. Raises LedgerAway."""
        return await self._bodies.run(
            lambda connection: show.show(connection, project_id, request_id)
        )

    async def reveal(self, question: Question) -> Revealed | None:
        """What is kept of its content. Raises LedgerAway."""
        return await self._bodies.run(lambda connection: reveal.reveal(connection, question))

    async def export_page(self, question: ListQuestion, *, has_content: bool) -> ExportPage:
        """A page of a project's requests whole, newest first. Raises LedgerAway."""
        return await self._bodies.run(
            lambda connection: export.export_page(connection, question, has_content=has_content)
        )

    async def read_stats(self, of: StatsRange, limits: StatsLimits) -> Stats:
        """A project's numbers. Raises LedgerAway."""
        return await self._bodies.run(lambda connection: stats.read_stats(connection, of, limits))

    async def read_counters(self, account_id: str, anchor_day: int) -> Counters:
        """Where an account stands. Raises LedgerAway."""
        return await self._bodies.run(
            lambda connection: counters.read_counters(connection, account_id, anchor_day)
        )

    async def cancel(self, change: Change) -> CancelAnswer:
        """End it unless it has ended. Raises LedgerAway (perhaps cancelled)."""
        return await self.database.run(lambda connection: cancel.cancel(connection, change))

    async def erase(self, change: Change) -> EraseAnswer:
        """Destroy its content, open or not. Raises LedgerAway (perhaps erased)."""
        return await self._bodies.run(lambda connection: erase.erase(connection, change))

    async def close(self) -> None:
        """Close all connections."""
        await self.database.close()
        await self._bodies.close()

    async def _look_at_all(self, questions: Sequence[Question]) -> Sequence[Standing | None]:
        return await self.database.run(
            lambda connection: look.look(connection, questions, result_bytes=look.SMALL)
        )

    async def _look_at_one(self, questions: Sequence[Question]) -> Sequence[Standing | None]:
        return await self._bodies.run(
            lambda connection: look.look(connection, questions, result_bytes=look.ANY)
        )


class ExecutorLedger:
    """Claims, renews, finishes."""

    def __init__(self, url: str, *, owner: str, connections: int = 4) -> None:
        """`owner`: this executor's name in leases and attempts."""
        options = Options(connections, WORK_TIMEOUT)
        self.database = Database(url, options, name="executor", plans=Plans.MADE_ONCE)
        self._owner = owner
        self._finish: Batch[Finish, Finished | None] = Batch(
            self._finish_all, name="finish", workers=2
        )
        self._finish.weighing(Scales(Finish.weigh, FINISH_BYTES))

    async def claim(self, ids: Sequence[str]) -> list[Claim]:
        """Claim what can be claimed of a batch of hints.

        Raises LedgerAway: nothing was claimed, or what was is found when its lease ends.
        """
        return await self.database.run(lambda connection: claim.claim(connection, self._owner, ids))

    async def renew(self, leases: Sequence[Lease]) -> set[str]:
        """The ids that are still ours. Raises LedgerAway: all but a locked row may be renewed."""
        kept = await self.database.run(lambda connection: renew.renew_free(connection, leases))
        rest = [lease for lease in leases if lease.request_id not in kept]
        if rest:
            # Lost, or locked by a session that may never end: nobody else's lease waits for that.
            kept |= await self.database.run(lambda connection: renew.renew(connection, rest))
        return kept

    async def finish(self, item: Finish) -> Finished | None:
        """Write how an attempt ended; None where another holds the request now."""
        return await self._finish(item)

    async def give_back(self, items: Sequence[GiveBack]) -> set[str]:
        """Return claims that were never sent."""
        return await self.database.run(lambda connection: give_back.give_back(connection, items))

    async def close(self) -> None:
        """Close all connections."""
        await self.database.close()

    async def _finish_all(self, items: Sequence[Finish]) -> Sequence[Finished | Exception | None]:
        answers = list(await self.database.run_batch(items, finish.finish_free))
        unknown = [n for n, answer in enumerate(answers) if answer is None]
        if unknown:
            # Gone, or locked by a session that may never end: nobody else's answer waits for that.
            await self._put(answers, unknown, [items[n] for n in unknown])
        refused = [n for n, answer in enumerate(answers) if isinstance(answer, ItemRefused)]
        if refused:
            # Never left to the lease: an answer that was paid for is written without its extras.
            await self._put(answers, refused, [items[n].without_extras() for n in refused])
        return answers

    async def _put(
        self, answers: list[Finished | Exception | None], places: list[int], items: list[Finish]
    ) -> None:
        """Finish these items, waiting for who has them locked; their answers into their places."""
        again: Sequence[Finished | Exception | None]
        try:
            again = await self.database.run_batch(items, finish.finish)
        except LEDGER_TROUBLE as trouble:
            again = [trouble] * len(items)
        for n, answer in zip(places, again, strict=True):
            answers[n] = answer
