"""Two or three verbs on one request, statement by statement, in every order there is.

Each test names every pair of answers that may come out, and all of them must; after each order
everything that must be true of the rows is.
"""

import pytest

from tests.support.ledger_actors import (
    NOTHING,
    Scene,
    cancelling,
    claiming,
    closing_orphans,
    erasing,
    expiring,
    finishing,
    giving_back,
    outcomes,
    renewing,
    writing,
)
from tests.support.ledgers import Bench, ending, retry
from tests.support.turns import Verb


@pytest.fixture
async def ledger(emptied_ledger: Bench) -> Bench:
    return emptied_ledger


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


async def test_a_deadline_meets_a_cancel(ledger: Bench) -> None:
    async def setting(scene: Scene) -> list[Verb]:
        request_id = await scene.accepted()
        await ledger.sql.execute(
            "UPDATE live SET deadline = clock_timestamp(), due_at = clock_timestamp()"
        )
        return [expiring, cancelling(scene, request_id)]

    assert await outcomes(ledger, setting) == {("expired", "was final"), (NOTHING, "cancelled")}
