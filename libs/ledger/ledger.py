"""The ledger as its users see it: three hands on one record, each with only its own verbs.

Every verb is group-committed (libs.common.batching): callers name one item and get one answer.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from libs.common.batching import Batch
from libs.ledger import (
    accept,
    claim,
    expire,
    finish,
    give_back,
    look,
    orphans,
    rehint,
    release,
    renew,
    timeline,
    upkeep,
)
from libs.ledger.accept import Accepted, Hint, Submission
from libs.ledger.claim import Claim
from libs.ledger.connection import Database, ItemRefused
from libs.ledger.finish import Finish, Finished
from libs.ledger.give_back import GiveBack
from libs.ledger.look import Question, Standing
from libs.ledger.orphans import CrashBackoff
from libs.ledger.renew import Lease
from libs.ledger.timeline import Attempt

ACCEPT_TIMEOUT: Final = timedelta(seconds=2)
WORK_TIMEOUT: Final = timedelta(seconds=5)


class GatewayLedger:
    """Appends and reads."""

    def __init__(self, url: str, *, connections: int = 6) -> None:
        self.database = Database(
            url, name="gateway", size=connections, statement_timeout=ACCEPT_TIMEOUT
        )
        self._accept: Batch[Submission, Accepted] = Batch(
            partial(self.database.run_batch, work=accept.accept), name="accept", workers=2
        )
        self._look: Batch[Question, Standing | None] = Batch(
            partial(self.database.run_batch, work=look.look), name="look", workers=2
        )

    async def accept(self, submission: Submission) -> Accepted:
        """Store it; returns after COMMIT. Raises LedgerAway (perhaps stored), ItemRefused."""
        return await self._accept(submission)

    async def look(self, question: Question) -> Standing | None:
        """Where a request stands. Raises LedgerAway."""
        return await self._look(question)

    async def timeline(self, question: Question) -> list[Attempt] | None:
        """Its attempts. Raises LedgerAway."""
        return await self.database.run(lambda connection: timeline.timeline(connection, question))


class ExecutorLedger:
    """Claims, renews, finishes."""

    def __init__(self, url: str, *, owner: str, connections: int = 4) -> None:
        """`owner`: this executor's name in leases and attempts."""
        self.database = Database(
            url, name="executor", size=connections, statement_timeout=WORK_TIMEOUT
        )
        self._owner = owner
        self._finish: Batch[Finish, Finished | None] = Batch(
            self._finish_all, name="finish", workers=2
        )

    async def claim(self, ids: Sequence[str]) -> list[Claim]:
        """Claim what can be claimed of a batch of hints."""
        return await self.database.run(lambda connection: claim.claim(connection, self._owner, ids))

    async def renew(self, leases: Sequence[Lease]) -> set[str]:
        """The ids that are still ours."""
        return await self.database.run(lambda connection: renew.renew(connection, leases))

    async def finish(self, item: Finish) -> Finished | None:
        """Write how an attempt ended; None where another holds the request now."""
        return await self._finish(item)

    async def give_back(self, items: Sequence[GiveBack]) -> set[str]:
        """Return claims that were never sent."""
        return await self.database.run(lambda connection: give_back.give_back(connection, items))

    async def drain(self) -> None:
        """Wait until every finish has an answer."""
        await self._finish.drain()

    async def _finish_all(self, items: Sequence[Finish]) -> Sequence[Finished | Exception | None]:
        answers = list(await self.database.run_batch(items, finish.finish))
        refused = [n for n, answer in enumerate(answers) if isinstance(answer, ItemRefused)]
        if refused:
            # Never left to the lease: an answer that was paid for is written without its extras.
            bare = [items[n].without_extras() for n in refused]
            again = await self.database.run_batch(bare, finish.finish)
            for n, answer in zip(refused, again, strict=True):
                answers[n] = answer
        return answers


class DispatcherLedger:
    """Moves what time alone moves: slots, hints, leases, deadlines."""

    def __init__(self, url: str, *, backoff: CrashBackoff) -> None:
        self.database = Database(url, name="dispatcher", size=3, statement_timeout=WORK_TIMEOUT)
        self._backoff = backoff

    async def release(self) -> list[Hint]:
        """Give free slots to waiting requests."""
        return await self.database.run(release.release)

    async def rehint(self) -> list[Hint]:
        """Hints that were not claimed in time."""
        return await self.database.run(rehint.rehint)

    async def make_all_due(self) -> None:
        """Look at every hint again."""
        await self.database.run(rehint.make_all_due)

    async def close_orphans(self) -> list[Finished]:
        """Take the leases that ended."""
        return await self.database.run(
            lambda connection: orphans.close_orphans(connection, self._backoff)
        )

    async def expire(self) -> list[str]:
        """Fail what is past its deadline."""
        return await self.database.run(expire.expire)

    async def make_partitions(self) -> int:
        """Create missing body partitions."""
        return await self.database.run(upkeep.make_partitions)

    async def measure_drift(self) -> upkeep.Drift:
        """Counters against rows."""
        return await self.database.run(upkeep.measure_drift)

    async def measure_overdue(self) -> upkeep.Overdue:
        """The oldest due row."""
        return await self.database.run(upkeep.measure_overdue)
