"""Everybody who has a hand on the ledger, as one machine of hypothesis, held against the model."""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from datetime import datetime
from typing import Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from libs.ledger.accept import Accepted, Submission, accept
from libs.ledger.cancel import AlreadyFinal, Cancelled, Change
from libs.ledger.claim import Claim
from libs.ledger.erase import Erased
from libs.ledger.give_back import GiveBack
from libs.ledger.ledger import ExecutorLedger
from libs.ledger.look import Question
from libs.ledger.renew import Lease
from libs.ledger.states import State
from tests.support.ledger_choices import (
    CUSTOMER,
    ENDINGS,
    PROJECTS,
    SECOND,
    STEPS,
    batch,
    numbers,
    orders,
    times,
)
from tests.support.ledger_model import (
    Model,
    Seen,
    Window,
    advance,
    is_claimable,
    is_due_again,
    is_late,
    is_orphan,
)
from tests.support.ledger_truths import broken_truths
from tests.support.ledgers import Bench, ending

Answer = TypeVar("Answer")

RECENT: Final = 6
"""So many claims are used again, whatever came of them meanwhile."""
ROUNDS: Final = 60
"""Of 40 s each: more than enough for all slots, pauses and crashes of an example."""


class LedgerMachine(RuleBasedStateMachine):
    """Everybody who has a hand on the ledger.

    Rules pick by number from what there is, and do nothing where there is nothing: how much there
    is depends on the database's clock and chance, and the same steps must be there to play again.
    """

    def __init__(self, ledger: Bench, runner: asyncio.Runner) -> None:
        super().__init__()
        self.ledger, self.runner, self.model = ledger, runner, Model()
        self.claims: list[Claim] = []
        self.may_change: Collection[str] = ()
        self.wait(ledger.forget_everything())

    @staticmethod
    def picked(there: Sequence[Answer], picks: list[int]) -> list[Answer]:
        return [there[pick % len(there)] for pick in picks] if there else []

    def wait(self, answer: Awaitable[Answer]) -> Answer:
        async def waiting() -> Answer:
            return await answer

        return self.runner.run(waiting())

    def timed(self, verb: Awaitable[Answer]) -> tuple[Answer, Window]:
        """The verb's answer, and the database's clock around it."""

        async def between() -> tuple[Answer, Window]:
            before = await self.ledger.sql.fetchval("SELECT clock_timestamp()")
            answer = await verb
            after = await self.ledger.sql.fetchval("SELECT clock_timestamp()")
            return answer, Window(before, after)

        return self.runner.run(between())

    @initialize(items=st.lists(orders, min_size=3, max_size=6), picks=st.lists(numbers, min_size=2))
    def begin(self, items: list[Submission], picks: list[int]) -> None:
        self.submit(items, b"one")
        self.look()
        self.deliver_hints(picks)

    @rule(items=st.lists(orders, min_size=1, max_size=3), body=st.sampled_from([b"one", b"other"]))
    def submit(self, items: list[Submission], body: bytes) -> None:
        """New, repeated and conflicting ones, and more than there is room for."""
        items = batch(items, body)
        verdicts = self.wait(accept(self.ledger.sql, items))
        for item, verdict in zip(items, verdicts, strict=True):
            expected = self.model.verdict(item)
            if expected is not None:
                assert verdict == expected
                continue
            assert isinstance(verdict, Accepted)
            assert verdict.hint is None or item.project_id not in self.model.paused

    @rule(picks=st.lists(numbers, min_size=2, max_size=8))
    def deliver_hints(self, picks: list[int]) -> None:
        self.hear(self.picked(list(self.model.seen), picks), self.ledger.executor)

    def hear(self, ids: list[str], executor: ExecutorLedger) -> None:
        claims, window = self.timed(executor.claim(ids))
        self.may_change = {claim.request_id for claim in claims}
        self.model.check_taken(
            self.may_change,
            lambda one, due, alive: one.id in ids and is_claimable(one, due, alive),
            window,
        )
        self.model.note_claims(claims)
        self.claims = (self.claims + claims)[-RECENT:]

    @rule(pick=numbers, how=st.sampled_from(["completed", "completed", *ENDINGS]))
    def finish(self, pick: int, how: str) -> None:
        """Early or late, once or again; what is not ours any more changes nothing."""
        for claim in self.picked(self.claims, [pick]):
            is_ours = self.model.holds(claim)
            written = self.wait(self.ledger.finish(ENDINGS[how](claim)))
            assert (written is not None) == is_ours
            self.may_change = [claim.request_id] if is_ours else ()

    @rule()
    def renew(self) -> None:
        """All in one statement, those included that others have by now."""
        leases = [Lease(claim.request_id, claim.fence) for claim in self.claims]
        kept = self.wait(self.ledger.executor.renew(leases))
        assert kept == {claim.request_id for claim in self.claims if self.model.runs(claim)}

    @rule(pick=numbers, seconds=st.sampled_from([0, 20]))
    def give_back(self, pick: int, seconds: int) -> None:
        """Who gave a claim back never uses it again."""
        for claim in self.picked(self.claims, [pick]):
            self.claims.remove(claim)
            mine = {claim.request_id} if self.model.runs(claim) else set()
            item = GiveBack(claim.request_id, claim.fence, seconds * SECOND)
            assert self.wait(self.ledger.executor.give_back([item])) == mine
            self.may_change = mine

    @rule(seconds=times)
    def time_goes_by(self, seconds: int) -> None:
        self.wait(advance(self.ledger.sql, seconds * SECOND))

    @rule(seconds=times, steps=st.permutations(STEPS), is_heard=st.booleans())
    def dispatcher_passes(self, seconds: int, steps: list[str], *, is_heard: bool) -> None:
        """In any order, some time after what went before; then an executor hears it, or none."""
        self.time_goes_by(seconds)
        for step in steps:
            self.look()
            getattr(self, step)()
        if is_heard:
            self.look()
            self.hear(list(self.model.seen), self.ledger.other)

    def release(self) -> None:
        for hint in self.wait(self.ledger.dispatcher.release()):
            one = self.model.seen[hint.request_id]
            assert (one.waits, one.has_slot) == (True, False)
            assert one.project_id not in self.model.paused

    def hint_again(self) -> None:
        hints, window = self.timed(self.ledger.dispatcher.rehint())
        self.model.check_taken({hint.request_id for hint in hints}, is_due_again, window)

    def close_orphans(self) -> None:
        closed, window = self.timed(self.ledger.dispatcher.close_orphans())
        self.may_change = {one.request_id for one in closed}
        self.model.check_taken(self.may_change, is_orphan, window)

    def expire(self) -> None:
        def is_expired(one: Seen, due: datetime, alive: datetime) -> bool:
            return is_late(one, due, alive) and one.project_id not in self.model.paused

        ended, window = self.timed(self.ledger.dispatcher.expire())
        self.may_change = ended
        self.model.check_taken(ended, is_expired, window)

    def hint_everything(self) -> None:
        """The broker came back, perhaps empty."""
        self.wait(self.ledger.dispatcher.make_all_due())

    @rule(pick=numbers, how=st.sampled_from(CUSTOMER))
    def customer(self, pick: int, how: str) -> None:
        for one in self.picked(list(self.model.seen.values()), [pick]):
            getattr(self, how)(one)

    def cancel(self, one: Seen) -> None:
        self.may_change = [one.id]
        answer = self.wait(self.ledger.gateway.cancel(change(one, one.project_id)))
        assert isinstance(answer, Cancelled if one.is_open else AlreadyFinal)
        assert answer.standing.state is (State.CANCELLED if one.is_open else one.state)

    def erase(self, one: Seen) -> None:
        self.may_change = [one.id]
        answer = self.wait(self.ledger.gateway.erase(change(one, one.project_id)))
        assert isinstance(answer, Erased)
        assert answer.was_open == one.is_open

    def stranger(self, one: Seen) -> None:
        """Of another project, he finds nothing."""
        foreign = change(one, "prj_stranger")
        assert self.wait(self.ledger.gateway.cancel(foreign)) is None
        assert self.wait(self.ledger.gateway.erase(foreign)) is None

    def pause(self, one: Seen) -> None:
        """Or end the pause."""
        dispatcher, project = self.ledger.dispatcher, one.project_id
        is_paused = project in self.model.paused
        self.wait(dispatcher.resume(project) if is_paused else dispatcher.pause(project))
        self.model.paused ^= {project}

    @invariant()
    def everything_that_must_hold_does(self) -> None:
        self.look()
        assert self.wait(broken_truths(self.ledger.sql)) == []

    def look(self) -> None:
        self.wait(self.model.look(self.ledger.sql, self.may_change))
        self.may_change = ()

    def teardown(self) -> None:
        """Nothing is stuck: what is open ends, whatever was done to it before."""
        self.wait(self.drain())
        assert self.wait(broken_truths(self.ledger.sql)) == []

    async def drain(self) -> None:
        for project in PROJECTS:
            await self.ledger.dispatcher.resume(project)
        for _ in range(ROUNDS):
            left = [row["id"] for row in await self.ledger.sql.fetch("SELECT id FROM live")]
            if not left:
                return
            await self.ledger.dispatcher.close_orphans()
            await self.ledger.dispatcher.expire()
            await self.ledger.dispatcher.release()
            for claim in await self.ledger.executor.claim(left):
                await self.ledger.finish(ending(claim))
            await advance(self.ledger.sql, 40 * SECOND)
        raise AssertionError(f"never ended: {left}")


def change(one: Seen, project_id: str) -> Change:
    return Change(Question(project_id, one.mode, one.id))
