"""Cancel: one end for each request, whoever else has it in hand."""

import asyncio

import pytest

from libs.common.contracts.event import decoder
from libs.common.contracts.executor import RequestsFinished
from libs.ledger.accept import Refusal, Refused
from libs.ledger.cancel import AlreadyFinal, Cancelled, Change, cancel
from libs.ledger.claim import claim
from libs.ledger.finish import finish
from libs.ledger.look import Question
from libs.ledger.nonces import Nonce
from libs.ledger.orphans import CrashBackoff, close_orphans
from libs.ledger.release import release
from libs.ledger.renew import Lease
from libs.ledger.states import State
from tests.support.interleaving import begin_and_wait, under_way
from tests.support.ledgers import Bench, ending


def change(request_id: str, nonce: str | None = None) -> Change:
    question = Question("prj_a", "live", request_id)
    return Change(question, None if nonce is None else Nonce("key_a", nonce))


async def test_a_cancelled_request_is_final_and_told_once(ledger: Bench) -> None:
    accepted = await ledger.accept()

    answer = await ledger.gateway.cancel(change(accepted.request_id))

    assert isinstance(answer, Cancelled)
    assert (answer.standing.state, answer.standing.last_error_code) == (
        State.CANCELLED,
        "cancelled",
    )
    events = await ledger.sql.fetch("SELECT body FROM outbox")
    told = [decoder([RequestsFinished])(row["body"]) for row in events]
    assert [
        (one.id, one.state)
        for event in told
        if isinstance(event, RequestsFinished)
        for one in event.requests
    ] == [(accepted.request_id, "cancelled")]


async def test_a_second_cancel_finds_it_final(ledger: Bench) -> None:
    accepted = await ledger.accept()
    await ledger.gateway.cancel(change(accepted.request_id))

    again = await ledger.gateway.cancel(change(accepted.request_id))

    assert isinstance(again, AlreadyFinal)
    assert again.standing.state is State.CANCELLED
    assert await ledger.count("outbox") == 1


async def test_what_has_completed_stays_completed(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    await ledger.finish(ending(claimed))

    answer = await ledger.gateway.cancel(change(claimed.request_id))

    assert isinstance(answer, AlreadyFinal)
    assert answer.standing.state is State.COMPLETED


@pytest.mark.parametrize(("project", "mode"), [("prj_b", "live"), ("prj_a", "test")])
async def test_another_project_or_mode_cancels_nothing(
    ledger: Bench, project: str, mode: str
) -> None:
    accepted = await ledger.accept()

    answer = await ledger.gateway.cancel(Change(Question(project, mode, accepted.request_id)))

    assert answer is None
    assert await ledger.live(accepted.request_id) is not None


async def test_a_used_nonce_cancels_nothing_and_a_new_one_is_spent(ledger: Bench) -> None:
    accepted = await ledger.accept(nonce="nonce-of-the-submission")

    reused = await ledger.gateway.cancel(change(accepted.request_id, "nonce-of-the-submission"))
    fresh = await ledger.gateway.cancel(change(accepted.request_id, "another"))
    again = await ledger.gateway.cancel(change(accepted.request_id, "another"))

    assert reused == again == Refused(Refusal.NONCE_REUSED)
    assert isinstance(fresh, Cancelled)


async def test_two_cancels_with_one_nonce_at_once_are_one(ledger: Bench) -> None:
    accepted = await ledger.accept()

    answers = await asyncio.gather(
        *(ledger.gateway.cancel(change(accepted.request_id, "same")) for _ in range(8))
    )

    assert sum(isinstance(answer, Cancelled) for answer in answers) == 1
    assert answers.count(Refused(Refusal.NONCE_REUSED)) == 7


@pytest.mark.parametrize(("was_sent", "outcome"), [(True, "ambiguous"), (False, "cancelled")])
async def test_a_running_attempt_is_closed_with_what_is_known_of_it(
    ledger: Bench, was_sent: bool, outcome: str
) -> None:
    claimed = await ledger.claimed()
    if not was_sent:
        await ledger.sql.execute("UPDATE live SET sent_at = NULL")

    await ledger.gateway.cancel(change(claimed.request_id))

    [attempt] = await ledger.attempts(claimed.request_id)
    assert (attempt["number"], attempt["outcome"], attempt["error_code"]) == (
        1,
        outcome,
        "cancelled",
    )
    assert (attempt["executor"], attempt["fence"]) == ("executor-1", claimed.fence)


async def test_a_late_finish_and_a_renewal_find_it_gone(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    await ledger.gateway.cancel(change(claimed.request_id))

    assert await ledger.finish(ending(claimed)) is None
    assert await ledger.executor.renew([Lease(claimed.request_id, claimed.fence)]) == set()

    result = await ledger.result(claimed.request_id)
    assert result is not None
    assert result["state"] == "cancelled"
    assert await ledger.sql.fetchval("SELECT count(*) FROM bodies WHERE kind = 'result'") == 0


async def test_a_finish_under_way_comes_before_the_cancel(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    async with under_way(ledger.url) as first:
        await finish(first, [ending(claimed)])
        late = await begin_and_wait(
            ledger.gateway.cancel(change(claimed.request_id)), eyes=ledger.sql
        )

    answer = await late

    assert isinstance(answer, AlreadyFinal)
    assert answer.standing.state is State.COMPLETED
    assert await ledger.slots() == 0


async def test_a_cancel_under_way_comes_before_the_finish(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    async with under_way(ledger.url) as first:
        assert isinstance(await cancel(first, change(claimed.request_id)), Cancelled)
        late = await begin_and_wait(ledger.finish(ending(claimed)), eyes=ledger.sql)

    assert await late is None
    [attempt] = await ledger.attempts(claimed.request_id)
    assert attempt["outcome"] == "ambiguous"
    assert await ledger.slots() == 0


async def test_a_claim_under_way_is_cancelled_as_a_running_attempt(ledger: Bench) -> None:
    accepted = await ledger.accept()
    async with under_way(ledger.url) as first:
        assert len(await claim(first, "executor-1", [accepted.request_id])) == 1
        late = await begin_and_wait(
            ledger.gateway.cancel(change(accepted.request_id)), eyes=ledger.sql
        )

    assert isinstance(await late, Cancelled)
    [attempt] = await ledger.attempts(accepted.request_id)
    assert (attempt["number"], attempt["outcome"]) == (1, "ambiguous")
    assert await ledger.slots() == 0


async def test_a_slot_that_is_being_given_is_freed_again(ledger: Bench) -> None:
    """Its counter, still zero when the cancel began, must not fall below."""
    await ledger.dispatcher.pause("prj_a")
    accepted = await ledger.accept()
    await ledger.dispatcher.resume("prj_a")
    async with under_way(ledger.url) as first:
        assert len(await release(first)) == 1
        late = await begin_and_wait(
            ledger.gateway.cancel(change(accepted.request_id)), eyes=ledger.sql
        )

    assert isinstance(await late, Cancelled)
    assert await ledger.slots() == 0


async def test_what_is_being_cancelled_is_nobodys_to_claim(ledger: Bench) -> None:
    accepted = await ledger.accept()
    async with under_way(ledger.url) as first:
        await cancel(first, change(accepted.request_id))
        assert await ledger.claim(accepted.request_id) == []

    assert await ledger.claim(accepted.request_id) == []
    assert await ledger.attempts(accepted.request_id) == []


async def test_an_orphan_being_closed_is_cancelled_as_it_then_stands(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    await ledger.expire_lease(claimed.request_id)
    async with under_way(ledger.url) as first:
        assert len(await close_orphans(first, CrashBackoff())) == 1
        late = await begin_and_wait(
            ledger.gateway.cancel(change(claimed.request_id)), eyes=ledger.sql
        )

    assert isinstance(await late, Cancelled)
    [attempt] = await ledger.attempts(claimed.request_id)
    assert (attempt["outcome"], attempt["error_code"]) == ("ambiguous", "executor_crashed")
    assert await ledger.slots() == 0


async def test_a_caller_who_leaves_in_the_middle_leaves_nothing_half_done(ledger: Bench) -> None:
    accepted = await ledger.accept()
    async with under_way(ledger.url) as first:
        await first.execute("SELECT FROM live FOR UPDATE")
        leaving = await begin_and_wait(
            ledger.gateway.cancel(change(accepted.request_id, "kept")), eyes=ledger.sql
        )
        leaving.cancel()
        await asyncio.wait([leaving])

    answer = await ledger.gateway.cancel(change(accepted.request_id, "kept"))

    assert leaving.cancelled()
    assert isinstance(answer, Cancelled)
