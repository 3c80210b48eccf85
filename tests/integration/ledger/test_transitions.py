"""The transition table of docs/request-lifecycle.md, row by row.

Times are seconds from now; `close(x)` allows for what the test itself takes.
"""

from datetime import timedelta
from typing import Any

import pytest

from libs.ledger.cancel import Change
from libs.ledger.erase import Erased
from libs.ledger.give_back import GiveBack
from libs.ledger.look import Question
from libs.ledger.orphans import MAX_CRASHES
from libs.ledger.renew import Lease
from libs.ledger.states import Outcome, State
from tests.support.ledgers import Bench, ending, retry

DAY = 86_400.0


def close(seconds: float, *, within: float = 1.5) -> Any:
    return pytest.approx(seconds, abs=within)


async def row(ledger: Bench, request_id: str) -> dict[str, Any]:
    found = await ledger.live(request_id)
    assert found is not None
    return found


async def test_accept_with_a_free_slot_is_due_in_five_seconds(ledger: Bench) -> None:
    accepted = await ledger.accept()

    found = await row(ledger, accepted.request_id)
    assert accepted.hint is not None
    assert (found["state"], found["fence"], found["has_slot"]) == ("queued", 0, True)
    assert (found["not_before"], found["due"]) == (close(0), close(5))
    assert (found["lease"], await ledger.slots()) == (None, 1)


async def test_accept_with_a_near_deadline_is_due_at_the_deadline(ledger: Bench) -> None:
    accepted = await ledger.accept(deadline=timedelta(seconds=2))

    assert (await row(ledger, accepted.request_id))["due"] == close(2)


async def test_accept_without_a_free_slot_waits_until_its_deadline(ledger: Bench) -> None:
    for _ in range(4):
        await ledger.accept()
    fifth = await ledger.accept()

    found = await row(ledger, fifth.request_id)
    assert fifth.hint is None
    assert (found["state"], found["has_slot"], found["due"]) == ("queued", False, close(DAY))
    assert await ledger.slots() == 4


async def test_accept_does_not_overtake_what_is_due_and_waiting(ledger: Bench) -> None:
    claims = [await ledger.claimed() for _ in range(4)]
    await ledger.accept()
    await ledger.finish(ending(claims[0]))

    late = await ledger.accept()

    assert late.hint is None


async def test_a_slot_given_is_due_in_five_seconds_and_changes_nothing_else(
    ledger: Bench,
) -> None:
    claims = [await ledger.claimed() for _ in range(4)]
    waiting = await ledger.accept()
    await ledger.finish(ending(claims[0]))

    hints = await ledger.dispatcher.release()

    found = await row(ledger, waiting.request_id)
    assert [hint.request_id for hint in hints] == [waiting.request_id]
    assert (found["state"], found["fence"], found["has_slot"]) == ("queued", 0, True)
    assert (found["due"], await ledger.slots()) == (close(5), 4)


@pytest.mark.parametrize(
    ("held_seconds", "next_look"), [(1, 5.0), (20, 20.0), (3_000, 60.0)], ids=str
)
async def test_a_hint_again_is_looked_at_later_each_time(
    ledger: Bench, held_seconds: float, next_look: float
) -> None:
    accepted = await ledger.accept()
    await ledger.shift(accepted.request_id, held_seconds)
    await ledger.sql.execute("UPDATE live SET due_at = clock_timestamp()")

    hints = await ledger.dispatcher.rehint()

    found = await row(ledger, accepted.request_id)
    assert [hint.request_id for hint in hints] == [accepted.request_id]
    assert (found["state"], found["has_slot"], found["due"]) == ("queued", True, close(next_look))


async def test_a_hint_again_is_never_looked_at_after_the_deadline(ledger: Bench) -> None:
    accepted = await ledger.accept(deadline=timedelta(seconds=3))
    await ledger.sql.execute("UPDATE live SET due_at = clock_timestamp()")

    await ledger.dispatcher.rehint()

    assert (await row(ledger, accepted.request_id))["due"] == close(3)


async def test_a_broker_that_came_back_makes_every_held_slot_due(ledger: Bench) -> None:
    claims = [await ledger.claimed() for _ in range(3)]
    held = await ledger.accept()
    waiting = await ledger.accept()

    await ledger.dispatcher.make_all_due()

    assert (await row(ledger, held.request_id))["due"] == close(0)
    assert (await row(ledger, waiting.request_id))["due"] == close(DAY)
    assert (await row(ledger, claims[0].request_id))["due"] == close(15)


async def test_a_claim_raises_the_fence_and_takes_a_lease(ledger: Bench) -> None:
    claim = await ledger.claimed()

    found = await row(ledger, claim.request_id)
    assert (found["state"], found["fence"], found["attempts"]) == ("processing", 1, 1)
    assert (found["lease"], found["due"]) == (close(15), close(15))
    assert (found["is_sent"], found["has_slot"], found["lease_owner"]) == (
        True,
        True,
        "executor-1",
    )
    assert claim.body == b'{"model":"gpt-5-nano","messages":[]}'


async def test_two_hints_make_one_attempt(ledger: Bench) -> None:
    accepted = await ledger.accept()

    first = await ledger.claim(accepted.request_id, accepted.request_id)
    second = await ledger.other.claim([accepted.request_id])

    assert (len(first), second) == (1, [])


@pytest.mark.parametrize(
    "change",
    [
        "slot_at = NULL",
        "not_before = clock_timestamp() + interval '1 min'",
        "deadline = clock_timestamp()",
    ],
)
async def test_what_is_early_late_or_without_a_slot_is_not_claimed(
    ledger: Bench, change: str
) -> None:
    accepted = await ledger.accept()
    if "slot_at" in change:
        await ledger.sql.execute("UPDATE project_counters SET slots = 0")
    await ledger.sql.execute(f"UPDATE live SET {change}")  # noqa: S608  # a constant of this test

    assert await ledger.claim(accepted.request_id) == []


async def test_a_cooled_request_is_sent_back_without_an_attempt(ledger: Bench) -> None:
    hot = await ledger.claimed()
    accepted = await ledger.accept()
    await ledger.finish(
        retry(hot, timedelta(seconds=30), cooldown=timedelta(seconds=30)),
    )

    assert await ledger.claim(accepted.request_id) == []

    found = await row(ledger, accepted.request_id)
    assert (found["state"], found["attempts"], found["fence"]) == ("queued", 0, 0)
    assert (found["has_slot"], found["due"]) == (False, close(DAY))
    assert found["not_before"] == close(30, within=2.5)
    assert await ledger.slots() == 0


async def test_a_renewal_extends_the_lease_even_when_it_had_run_out(ledger: Bench) -> None:
    claim = await ledger.claimed()
    await ledger.expire_lease(claim.request_id)

    kept = await ledger.executor.renew([Lease(claim.request_id, claim.fence)])

    found = await row(ledger, claim.request_id)
    assert kept == {claim.request_id}
    assert (found["lease"], found["due"]) == (close(15), close(15))


async def test_a_renewal_with_an_old_fence_or_of_a_request_not_running_is_lost(
    ledger: Bench,
) -> None:
    claim = await ledger.claimed()
    idle = await ledger.accept()

    kept = await ledger.executor.renew(
        [Lease(claim.request_id, claim.fence - 1), Lease(idle.request_id, 0)]
    )

    assert kept == set()


async def test_a_claim_given_back_before_any_attempt_is_queued_again(ledger: Bench) -> None:
    claim = await ledger.claimed()

    await ledger.executor.give_back([GiveBack(claim.request_id, claim.fence, timedelta())])

    found = await row(ledger, claim.request_id)
    assert (found["state"], found["attempts"], found["fence"]) == ("queued", 0, 1)
    assert (found["has_slot"], found["lease"], found["due"]) == (False, None, close(DAY))
    assert (found["not_before"], await ledger.slots()) == (close(0), 0)
    assert await ledger.attempts(claim.request_id) == []


async def test_a_claim_given_back_after_an_attempt_is_retrying_after_a_pause(
    ledger: Bench,
) -> None:
    first = await ledger.claimed()
    await ledger.finish(retry(first))
    await ledger.dispatcher.release()
    second = (await ledger.claim(first.request_id))[0]

    await ledger.executor.give_back(
        [GiveBack(second.request_id, second.fence, timedelta(seconds=20))]
    )

    found = await row(ledger, first.request_id)
    assert (found["state"], found["attempts"], found["fence"]) == ("retrying", 1, 2)
    assert found["not_before"] == close(20)


async def test_a_completed_finish_moves_everything_together(ledger: Bench) -> None:
    claim = await ledger.claimed()

    written = await ledger.finish(ending(claim))

    assert written is not None
    assert (written.state, written.is_final) == (State.COMPLETED, True)
    assert await ledger.live(claim.request_id) is None
    result = await ledger.result(claim.request_id)
    assert result is not None
    assert (result["state"], result["total_tokens"], result["attempts"]) == ("completed", 7, 1)
    attempts = await ledger.attempts(claim.request_id)
    assert [(one["number"], one["outcome"]) for one in attempts] == [(1, "completed")]
    assert await ledger.sql.fetchval("SELECT count(*) FROM outbox") == 1
    assert await ledger.slots() == 0


async def test_a_failed_finish_is_final_and_says_why(ledger: Bench) -> None:
    claim = await ledger.claimed()

    await ledger.finish(
        ending(
            claim,
            state=State.FAILED,
            outcome=Outcome.PERMANENT,
            error_code="provider_rejected",
            result=None,
            provider_error=b'{"error":{}}',
        )
    )

    result = await ledger.result(claim.request_id)
    assert result is not None
    assert (result["state"], result["last_error_code"]) == ("failed", "provider_rejected")


async def test_a_retry_before_the_deadline_frees_the_slot_and_waits(ledger: Bench) -> None:
    claim = await ledger.claimed()

    await ledger.finish(retry(claim, timedelta(seconds=40), counted=1, timeouts=1))

    found = await row(ledger, claim.request_id)
    assert (found["state"], found["fence"], found["attempts"]) == ("retrying", 1, 1)
    assert (found["counted"], found["timeouts"], found["crash_count"]) == (1, 1, 0)
    assert (found["not_before"], found["due"]) == (close(40), close(DAY))
    assert (found["has_slot"], found["lease"], found["is_sent"]) == (False, None, False)
    assert (found["last_error_code"], await ledger.slots()) == ("provider_unavailable", 0)


async def test_a_retry_after_the_deadline_fails_at_once(ledger: Bench) -> None:
    claim = await ledger.claimed(deadline=timedelta(seconds=30))

    written = await ledger.finish(retry(claim, timedelta(seconds=31)))

    assert written is not None
    assert (written.state, written.error_code) == (State.FAILED, "deadline_exceeded")
    result = await ledger.result(claim.request_id)
    assert result is not None
    assert (result["state"], result["last_error_code"]) == ("failed", "deadline_exceeded")


@pytest.mark.parametrize(("was_sent", "outcome"), [(True, "ambiguous"), (False, "lost")])
async def test_an_ended_lease_becomes_an_orphan_attempt_and_a_retry(
    ledger: Bench, was_sent: bool, outcome: str
) -> None:
    claim = await ledger.claimed()
    await ledger.expire_lease(claim.request_id)
    if not was_sent:
        await ledger.sql.execute("UPDATE live SET sent_at = NULL")

    closed = await ledger.dispatcher.close_orphans()

    found = await row(ledger, claim.request_id)
    assert [one.request_id for one in closed] == [claim.request_id]
    assert (found["state"], found["fence"], found["crash_count"]) == ("retrying", 1, 1)
    assert (found["counted"], found["has_slot"], found["due"]) == (
        int(was_sent),
        False,
        close(DAY),
    )
    assert [one["outcome"] for one in await ledger.attempts(claim.request_id)] == [outcome]
    assert await ledger.slots() == 0


async def test_a_lease_that_has_not_ended_is_nobodys_to_take(ledger: Bench) -> None:
    claim = await ledger.claimed()

    assert await ledger.dispatcher.close_orphans() == []
    assert (await row(ledger, claim.request_id))["state"] == "processing"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (f"crash_count = {MAX_CRASHES - 1}", "executor_crashed"),
        ("counted = max_attempts - 1", "executor_crashed"),
        ("fails_on_unknown = true", "executor_crashed"),
        ("deadline = clock_timestamp() + interval '1 ms'", "deadline_exceeded"),
    ],
)
async def test_an_ended_lease_is_the_end_when_nothing_may_follow(
    ledger: Bench, change: str, code: str
) -> None:
    claim = await ledger.claimed()
    await ledger.expire_lease(claim.request_id)
    await ledger.sql.execute(f"UPDATE live SET {change}")  # noqa: S608  # a constant of this test

    await ledger.dispatcher.close_orphans()

    result = await ledger.result(claim.request_id)
    assert result is not None
    assert (result["state"], result["last_error_code"]) == ("failed", code)
    assert await ledger.slots() == 0


async def test_a_late_answer_with_its_fence_completes_the_retrying_request(
    ledger: Bench,
) -> None:
    claim = await ledger.claimed()
    await ledger.expire_lease(claim.request_id)
    await ledger.dispatcher.close_orphans()
    await ledger.sql.execute("UPDATE live SET not_before = clock_timestamp()")
    await ledger.dispatcher.release()
    assert await ledger.slots() == 1

    written = await ledger.finish(ending(claim))

    assert written is not None
    assert written.state is State.COMPLETED
    attempts = await ledger.attempts(claim.request_id)
    assert [(one["number"], one["outcome"]) for one in attempts] == [(1, "completed")]
    assert await ledger.slots() == 0


async def test_a_late_answer_under_a_higher_fence_changes_nothing(ledger: Bench) -> None:
    zombie = await ledger.claimed()
    await ledger.expire_lease(zombie.request_id)
    await ledger.dispatcher.close_orphans()
    await ledger.sql.execute("UPDATE live SET not_before = clock_timestamp()")
    await ledger.dispatcher.release()
    second = (await ledger.other.claim([zombie.request_id]))[0]

    assert await ledger.finish(ending(zombie)) is None

    found = await row(ledger, zombie.request_id)
    assert (found["state"], found["fence"]) == ("processing", second.fence)
    assert await ledger.result(zombie.request_id) is None


async def test_a_late_answer_for_a_finished_request_changes_nothing(ledger: Bench) -> None:
    claim = await ledger.claimed()
    await ledger.finish(ending(claim, result=b'{"first":1}'))

    assert await ledger.finish(ending(claim, result=b'{"second":2}')) is None

    bodies = await ledger.sql.fetch("SELECT content FROM bodies WHERE kind = 'result'")
    assert [one["content"] for one in bodies] == [b'{"first":1}']
    assert await ledger.sql.fetchval("SELECT count(*) FROM outbox") == 1


@pytest.mark.parametrize("has_slot", [True, False])
async def test_a_passed_deadline_fails_what_is_not_running(ledger: Bench, has_slot: bool) -> None:
    claims = [] if has_slot else [await ledger.claimed() for _ in range(4)]
    accepted = await ledger.accept(deadline=timedelta(seconds=60))
    await ledger.shift(accepted.request_id, 61)
    await ledger.sql.execute("UPDATE live SET due_at = least(due_at, deadline)")

    assert await ledger.dispatcher.expire() == [accepted.request_id]

    result = await ledger.result(accepted.request_id)
    assert result is not None
    assert (result["state"], result["last_error_code"]) == ("failed", "deadline_exceeded")
    assert await ledger.slots() == len(claims)


async def test_a_passed_deadline_never_cuts_a_running_call(ledger: Bench) -> None:
    claim = await ledger.claimed(deadline=timedelta(seconds=60))
    await ledger.shift(claim.request_id, 61)

    assert await ledger.dispatcher.expire() == []
    assert (await row(ledger, claim.request_id))["state"] == "processing"


async def test_in_a_paused_project_nothing_expires(ledger: Bench) -> None:
    for _ in range(4):
        await ledger.claimed()
    accepted = await ledger.accept(deadline=timedelta(seconds=60))
    await ledger.sql.execute("UPDATE project_counters SET is_paused = true")
    await ledger.shift(accepted.request_id, 61)

    assert await ledger.dispatcher.expire() == []
    assert (await row(ledger, accepted.request_id))["due"] == close(600)


async def test_a_paused_project_gets_no_slots(ledger: Bench) -> None:
    await ledger.accept()
    await ledger.sql.execute("UPDATE project_counters SET is_paused = true")

    accepted = await ledger.accept()

    assert accepted.hint is None
    assert await ledger.dispatcher.release() == []


async def in_state(ledger: Bench, state: str) -> str:
    """An open request in that state; `waiting` is queued without a slot."""
    if state == "waiting":
        await ledger.accept(running_limit=1)
        return (await ledger.accept(running_limit=1)).request_id
    if state == "queued":
        return (await ledger.accept()).request_id
    claim = await ledger.claimed()
    if state == "retrying":
        await ledger.finish(retry(claim, timedelta(minutes=1)))
    return claim.request_id


OPEN = ["queued", "waiting", "processing", "retrying"]


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("verb", ["cancel", "erase"])
async def test_cancel_and_erase_end_every_open_state_and_free_its_slot(
    ledger: Bench, state: str, verb: str
) -> None:
    request_id = await in_state(ledger, state)
    others = await ledger.count("live") - 1
    change = Change(Question("prj_a", "live", request_id))

    answer = await (ledger.gateway.cancel if verb == "cancel" else ledger.gateway.erase)(change)

    result = await ledger.result(request_id)
    assert result is not None
    assert (result["state"], result["last_error_code"]) == ("cancelled", "cancelled")
    assert await ledger.live(request_id) is None
    assert isinstance(answer, Erased) == (verb == "erase")
    assert (await ledger.slots(), await ledger.count("live")) == (others, others)
    pending = await ledger.sql.fetchval("SELECT pending FROM account_counters")
    assert pending == others


@pytest.mark.parametrize("state", OPEN)
async def test_a_pause_frees_the_slot_of_what_is_not_running(ledger: Bench, state: str) -> None:
    request_id = await in_state(ledger, state)
    before = await row(ledger, request_id)

    await ledger.dispatcher.pause("prj_a")

    found = await row(ledger, request_id)
    is_running = state == "processing"
    assert (found["state"], found["fence"]) == (before["state"], before["fence"])
    assert found["not_before"] == close(before["not_before"])
    assert found["has_slot"] == is_running
    assert found["due"] == close(15 if is_running else DAY)
    assert await ledger.slots() == int(is_running)


@pytest.mark.parametrize("state", OPEN)
async def test_a_resume_gives_at_least_a_day_from_now(ledger: Bench, state: str) -> None:
    request_id = await in_state(ledger, state)
    await ledger.dispatcher.pause("prj_a")
    await ledger.shift(request_id, 3_600)
    before = await row(ledger, request_id)

    await ledger.dispatcher.resume("prj_a")

    found = await row(ledger, request_id)
    is_running = state == "processing"
    assert found["deadline"] == close(DAY)
    assert found["due"] == close(before["due"] if is_running else DAY)
    assert (found["state"], found["fence"]) == (before["state"], before["fence"])
    assert found["not_before"] == close(before["not_before"])
    assert await ledger.count("project_counters WHERE is_paused") == 0


async def test_a_resume_takes_nothing_from_a_longer_deadline(ledger: Bench) -> None:
    accepted = await ledger.accept(deadline=timedelta(days=3))
    await ledger.dispatcher.pause("prj_a")

    await ledger.dispatcher.resume("prj_a")

    found = await row(ledger, accepted.request_id)
    assert (found["deadline"], found["due"]) == (close(3 * DAY), close(3 * DAY))
