"""Two or three verbs on one request, statement by statement, in every order there is.

Each test names every pair of answers that may come out, and all of them must; after each order
everything that must be true of the rows is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from deploy.local.servers.postgresql import PostgreSql
from libs.ledger.accept import Accepted, Idempotency, Known, accept
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
from tests.support import servers
from tests.support.ledger_truths import broken_truths
from tests.support.ledgers import Bench, bench, ending, retry, submission
from tests.support.turns import Verb, every_order

NOTHING = "nothing"
AT_ONCE = CrashBackoff(base=timedelta(), cap=timedelta())


@pytest.fixture(scope="module")
async def _ledger(postgresql_server: PostgreSql, ledger_template: str) -> AsyncIterator[Bench]:
    with servers.database(postgresql_server, ledger_template) as url:
        async with bench(url) as hands:
            yield hands


@pytest.fixture
async def ledger(_ledger: Bench) -> Bench:
    """One for all of them: to empty it is quicker than to make another."""
    await _ledger.forget_everything()
    return _ledger


class Scene:
    """One order's own project, with what the actors do to it."""

    def __init__(self, ledger: Bench, number: int) -> None:
        self.ledger = ledger
        self.project, self.account = f"prj_{number}", f"acc_{number}"

    def order(self, **changes: Any) -> Any:
        return submission(project_id=self.project, account_id=self.account, **changes)

    async def accepted(self, **changes: Any) -> str:
        item = self.order(**changes)
        await accept(self.ledger.sql, [item])  # type: ignore[arg-type]
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
        await close_orphans(self.ledger.sql, AT_ONCE)  # type: ignore[arg-type]
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


async def test_three_claims_make_one_attempt(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        return [claiming(await scene.accepted())] * 3

    assert await outcomes(ledger, setting, actors=3) == {
        ("claimed", NOTHING, NOTHING),
        (NOTHING, "claimed", NOTHING),
        (NOTHING, NOTHING, "claimed"),
    }


async def test_a_claim_meets_a_cancel(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        request_id = await scene.accepted()
        return [claiming(request_id), cancelling(scene, request_id)]

    assert await outcomes(ledger, setting) == {("claimed", "cancelled"), (NOTHING, "cancelled")}


async def test_a_finish_meets_a_cancel(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        held = await scene.claimed()
        return [writing(ending(held)), cancelling(scene, held.request_id)]

    assert await outcomes(ledger, setting) == {("completed", "was final"), (NOTHING, "cancelled")}


async def test_a_retry_meets_a_cancel(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        held = await scene.claimed()
        return [writing(retry(held)), cancelling(scene, held.request_id)]

    assert await outcomes(ledger, setting) == {("retrying", "cancelled"), (NOTHING, "cancelled")}


async def test_a_finish_a_cancel_and_the_end_of_the_lease_meet(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        held = await scene.orphaned()
        return [finishing(ending(held)), cancelling(scene, held.request_id), closing_orphans]

    assert await outcomes(ledger, setting, actors=3) == {
        ("completed", "was final", NOTHING),
        ("completed", "was final", "closed"),
        (NOTHING, "cancelled", NOTHING),
        (NOTHING, "cancelled", "closed"),
    }


async def test_two_cancels_end_it_once(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        return [cancelling(scene, await scene.accepted())] * 2

    assert await outcomes(ledger, setting) == {
        ("cancelled", "was final"),
        ("was final", "cancelled"),
    }


async def test_a_finish_meets_the_end_of_its_lease(ledger: Bench) -> None:
    """An answer that was paid for is kept, whoever is first."""

    async def setting(scene: Scene) -> list[Verb]:
        held = await scene.orphaned()
        return [writing(ending(held)), closing_orphans]

    assert await outcomes(ledger, setting) == {("completed", "closed"), ("completed", NOTHING)}
    ended = await ledger.peek("SELECT DISTINCT outcome FROM attempts")
    assert [row["outcome"] for row in ended] == ["completed"]


async def test_a_finish_meets_the_end_of_a_lease_that_is_fatal(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        held = await scene.orphaned(fails_on_unknown=True)
        return [writing(ending(held)), closing_orphans]

    assert await outcomes(ledger, setting) == {(NOTHING, "closed"), ("completed", NOTHING)}


async def test_a_renewal_meets_the_end_of_its_lease(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        return [renewing(await scene.orphaned()), closing_orphans]

    assert await outcomes(ledger, setting) == {("kept", NOTHING), ("lost", "closed")}


async def test_a_renewal_a_finish_and_the_end_of_the_lease_meet(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        held = await scene.orphaned()
        return [renewing(held), finishing(ending(held)), closing_orphans]

    assert await outcomes(ledger, setting, actors=3) == {
        ("kept", "completed", NOTHING),
        ("lost", "completed", NOTHING),
        ("lost", "completed", "closed"),
    }


async def test_two_dispatchers_close_an_orphan_once(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        await scene.orphaned()
        return [closing_orphans] * 2

    assert await outcomes(ledger, setting) == {("closed", NOTHING), (NOTHING, "closed")}


async def test_a_zombies_answer_meets_its_successors_claim(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        zombie = await scene.given_up()
        return [writing(ending(zombie)), claiming(zombie.request_id)]

    assert await outcomes(ledger, setting) == {("completed", NOTHING), (NOTHING, "claimed")}


async def test_a_zombies_answer_meets_its_successors(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        zombie = await scene.given_up()
        [held] = await ledger.other.claim([zombie.request_id])
        return [finishing(ending(zombie, result=b"late")), finishing(ending(held, result=b"own"))]

    assert await outcomes(ledger, setting) == {(NOTHING, "completed")}
    kept = await ledger.peek("SELECT DISTINCT content FROM bodies WHERE kind = 'result'")
    assert [row["content"] for row in kept] == [b"own"]


async def test_a_finish_that_is_written_again_on_another_connection_is_written_once(
    ledger: Bench,
) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        return [finishing(ending(await scene.claimed()))] * 2

    assert await outcomes(ledger, setting) == {("completed", NOTHING), (NOTHING, "completed")}


async def test_a_finish_meets_an_erasure(ledger: Bench) -> None:
    """Whoever is first, no body is left: `broken_truths` looks for it."""

    async def setting(scene: Scene) -> list[Verb]:
        held = await scene.claimed()
        return [writing(ending(held)), erasing(scene, held.request_id)]

    assert await outcomes(ledger, setting) == {
        ("completed", "erased final"),
        (NOTHING, "erased open"),
    }


async def test_a_return_meets_the_end_of_its_lease(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        return [giving_back(await scene.orphaned()), closing_orphans]

    assert await outcomes(ledger, setting) == {("given back", NOTHING), (NOTHING, "closed")}


async def test_a_claim_meets_a_pause(ledger: Bench) -> None:
    """When all is done only what runs holds a slot: `broken_truths` looks for it."""

    async def setting(scene: Scene) -> list[Verb]:
        return [claiming(await scene.accepted()), pausing(scene)]

    assert await outcomes(ledger, setting) == {("claimed", "paused"), (NOTHING, "paused")}


async def test_a_submission_meets_a_pause(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        await scene.accepted()
        return [accepting(scene.order()), pausing(scene)]

    assert await outcomes(ledger, setting) == {("accepted", "paused")}


async def test_a_release_meets_a_pause(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        await scene.accepted(running_limit=1)
        await scene.accepted(running_limit=1)
        await ledger.sql.execute("UPDATE project_counters SET running_limit = 2")
        return [releasing, pausing(scene)]

    assert await outcomes(ledger, setting) == {("released", "paused"), (NOTHING, "paused")}


async def test_two_releases_give_one_slot_once(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        first = await scene.claimed(running_limit=1)
        await scene.accepted(running_limit=1)
        await scene.accepted(running_limit=1)
        await ledger.finish(ending(first))
        return [releasing] * 2

    assert await outcomes(ledger, setting) == {("released", NOTHING), (NOTHING, "released")}


async def test_a_slot_that_becomes_free_is_given_once(ledger: Bench) -> None:
    """To the retry by a dispatcher, or to who comes at that moment: the limit is one."""

    async def setting(scene: Scene) -> list[Verb]:
        held = await scene.claimed(running_limit=1)
        return [finishing(retry(held)), accepting(scene.order(running_limit=1)), releasing]

    assert await outcomes(ledger, setting, actors=3) == {
        ("retrying", "accepted", "released"),
        ("retrying", "accepted", NOTHING),
    }


async def test_a_deadline_meets_a_cancel(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        request_id = await scene.accepted()
        await ledger.sql.execute(
            "UPDATE live SET deadline = clock_timestamp(), due_at = clock_timestamp()"
        )
        return [expiring, cancelling(scene, request_id)]

    assert await outcomes(ledger, setting) == {("expired", "was final"), (NOTHING, "cancelled")}


@pytest.mark.parametrize(
    ("fingerprint", "second"), [(b"one", "known"), (b"other", "conflict")], ids=["same", "other"]
)
async def test_two_submissions_with_one_key_make_one_request(
    ledger: Bench, fingerprint: bytes, second: str
) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        return [
            accepting(scene.order(idempotency=Idempotency("key", b"one"))),
            accepting(scene.order(idempotency=Idempotency("key", fingerprint))),
        ]

    assert await outcomes(ledger, setting) == {("accepted", second), (second, "accepted")}


async def test_two_submissions_with_one_nonce_make_one_request(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        return [accepting(scene.order(nonce=scene.project)) for _ in range(2)]

    assert await outcomes(ledger, setting) == {
        ("accepted", "nonce_reused"),
        ("nonce_reused", "accepted"),
    }


async def test_the_last_pending_place_is_given_once(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        return [accepting(scene.order(pending_limit=1)) for _ in range(2)]

    assert await outcomes(ledger, setting) == {
        ("accepted", "pending_limit"),
        ("pending_limit", "accepted"),
    }


async def test_a_finish_makes_room_for_a_submission_or_comes_too_late(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        held = await scene.claimed(pending_limit=1)
        return [finishing(ending(held)), accepting(scene.order(pending_limit=1))]

    assert await outcomes(ledger, setting) == {
        ("completed", "accepted"),
        ("completed", "pending_limit"),
    }
