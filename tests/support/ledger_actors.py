"""Who meets whom on one request: a scene, and every verb that an actor may do in it.

A verb answers one word for what came of it (tests/support/turns.py runs them in every order).
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from libs.ledger.accept import Accepted, Known, accept
from libs.ledger.cancel import Cancelled, Change, cancel
from libs.ledger.claim import Claim, claim
from libs.ledger.erase import Erased, erase
from libs.ledger.expire import expire
from libs.ledger.finish import Finish, finish, finish_free
from libs.ledger.give_back import GiveBack, give_back
from libs.ledger.look import Question
from libs.ledger.orphans import CrashBackoff, close_orphans
from libs.ledger.pause import pause
from libs.ledger.release import release
from libs.ledger.renew import Lease, renew, renew_free
from tests.support.ledger_truths import broken_truths
from tests.support.ledgers import Bench, submission
from tests.support.turns import Verb, every_order

NOTHING = "nothing"
AT_ONCE = CrashBackoff(base=timedelta(), cap=timedelta())


class Scene:
    """One order's own project, with what the actors do to it."""

    def __init__(self, ledger: Bench, number: int) -> None:
        self.ledger = ledger
        self.project, self.account = f"prj_{number}", f"acc_{number}"

    def order(self, **changes: Any) -> Any:
        return submission(project_id=self.project, account_id=self.account, **changes)

    async def accepted(self, **changes: Any) -> str:
        item = self.order(**changes)
        await accept(self.ledger.sql, [item])
        return str(item.id)

    async def claimed(self, **changes: Any) -> Claim:
        [found] = await self.ledger.claim(await self.accepted(**changes))
        return found

    async def orphaned(self, **changes: Any) -> Claim:
        """Its lease has ended, and nobody has noticed."""
        found = await self.claimed(**changes)
        await self.ledger.expire_lease(found.request_id)
        return found

    async def given_up(self) -> Claim:
        """Its executor was held for dead, and it has a slot again."""
        found = await self.orphaned()
        await close_orphans(self.ledger.sql, AT_ONCE)
        await self.ledger.dispatcher.release()
        return found


Setting = Callable[[Scene], Awaitable[Sequence[Verb]]]
numbers = count()


async def outcomes(ledger: Bench, setting: Setting, actors: int = 2) -> set[tuple[str, ...]]:
    """Everything that came out, by actor."""

    async def scene() -> Sequence[Verb]:
        return await setting(Scene(ledger, next(numbers)))

    found = set()
    async for answers in every_order(ledger.url, scene, actors):
        assert await broken_truths(ledger.sql) == []
        found.add(tuple(answers))
    return found


def accepting(item: Any) -> Verb:
    async def verb(connection: Any) -> str:
        [verdict] = await accept(connection, [item])
        if isinstance(verdict, Accepted):
            return "accepted"
        return "known" if isinstance(verdict, Known) else verdict.why.value

    return verb


def claiming(request_id: str) -> Verb:
    async def verb(connection: Any) -> str:
        return "claimed" if await claim(connection, "executor-1", [request_id]) else NOTHING

    return verb


def finishing(item: Finish) -> Verb:
    async def verb(connection: Any) -> str:
        [written] = await finish(connection, [item])
        return NOTHING if written is None else written.state.value

    return verb


def writing(item: Finish) -> Verb:
    """As an executor does: first without waiting for who has the row."""

    async def verb(connection: Any) -> str:
        [written] = await finish_free(connection, [item])
        return await finishing(item)(connection) if written is None else written.state.value

    return verb


def renewing(held: Claim) -> Verb:
    lease = Lease(held.request_id, held.fence)

    async def verb(connection: Any) -> str:
        kept = await renew_free(connection, [lease]) or await renew(connection, [lease])
        return "kept" if kept else "lost"

    return verb


def giving_back(held: Claim) -> Verb:
    async def verb(connection: Any) -> str:
        item = GiveBack(held.request_id, held.fence, timedelta())
        return "given back" if await give_back(connection, [item]) else NOTHING

    return verb


def cancelling(scene: Scene, request_id: str) -> Verb:
    async def verb(connection: Any) -> str:
        answer = await cancel(connection, Change(Question(scene.project, "live", request_id)))
        return "cancelled" if isinstance(answer, Cancelled) else "was final"

    return verb


def erasing(scene: Scene, request_id: str) -> Verb:
    async def verb(connection: Any) -> str:
        answer = await erase(connection, Change(Question(scene.project, "live", request_id)))
        assert isinstance(answer, Erased)
        return "erased open" if answer.was_open else "erased final"

    return verb


async def closing_orphans(connection: Any) -> str:
    return "closed" if await close_orphans(connection, AT_ONCE) else NOTHING


async def releasing(connection: Any) -> str:
    return "released" if await release(connection) else NOTHING


async def expiring(connection: Any) -> str:
    return "expired" if await expire(connection) else NOTHING


def pausing(scene: Scene) -> Verb:
    async def verb(connection: Any) -> str:
        await pause(connection, scene.project)
        return "paused"

    return verb
