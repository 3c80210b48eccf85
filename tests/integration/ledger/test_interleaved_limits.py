"""As in test_interleavings, about what there is only so much of.

Slots, which a pause takes away; pending places; one request a key, one a nonce.
"""

import pytest

from libs.ledger.accept import Idempotency
from tests.support.ledger_actors import (
    NOTHING,
    Scene,
    accepting,
    claiming,
    finishing,
    outcomes,
    pausing,
    releasing,
)
from tests.support.ledgers import Bench, ending, retry
from tests.support.turns import Verb


@pytest.fixture
async def ledger(emptied_ledger: Bench) -> Bench:
    return emptied_ledger


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
