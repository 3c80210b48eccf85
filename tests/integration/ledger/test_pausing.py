"""Pause and resume: no slot is given after the flag, and no time is lost to it."""

from datetime import timedelta

from libs.ledger.accept import Accepted, accept
from libs.ledger.claim import claim
from libs.ledger.pause import LIMIT, MODES
from libs.ledger.release import release
from tests.support.interleaving import begin_and_wait, under_way
from tests.support.ledgers import Bench, ending, retry, submission

DAY = 86_400.0


async def flags(ledger: Bench) -> dict[str, bool]:
    rows = await ledger.peek("SELECT mode, is_paused FROM project_counters")
    return {row["mode"]: row["is_paused"] for row in rows}


async def test_a_pause_holds_both_modes_before_anything_was_ever_accepted(ledger: Bench) -> None:
    await ledger.dispatcher.pause("prj_a")

    accepted = [await ledger.accept(mode=mode) for mode in MODES]

    assert await flags(ledger) == {"live": True, "test": True}
    assert [one.hint for one in accepted] == [None, None]
    assert await ledger.dispatcher.release() == []
    limits = await ledger.peek("SELECT running_limit FROM project_counters")
    assert {row["running_limit"] for row in limits} == {4}


async def test_a_pause_takes_the_slots_of_what_nobody_claimed(ledger: Bench) -> None:
    running = await ledger.claimed()
    held = await ledger.accept()

    assert await ledger.dispatcher.pause("prj_a") == 1

    assert await ledger.slots() == 1
    assert await ledger.claim(held.request_id) == []
    assert await ledger.finish(ending(running)) is not None
    assert await ledger.slots() == 0


async def test_another_project_goes_on(ledger: Bench) -> None:
    other = await ledger.accept(project_id="prj_b")

    await ledger.dispatcher.pause("prj_a")

    assert len(await ledger.claim(other.request_id)) == 1
    assert (await ledger.accept(project_id="prj_b")).hint is not None


async def test_a_running_call_that_must_be_tried_again_waits_for_the_resume(
    ledger: Bench,
) -> None:
    running = await ledger.claimed()
    await ledger.dispatcher.pause("prj_a")
    await ledger.finish(retry(running))
    assert await ledger.dispatcher.release() == []

    await ledger.dispatcher.resume("prj_a")

    hints = await ledger.dispatcher.release()
    assert [hint.request_id for hint in hints] == [running.request_id]


async def test_a_pause_of_many_takes_every_slot(ledger: Bench) -> None:
    await ledger.fill_accepted(LIMIT + 1, running_limit=10 * LIMIT)
    assert await ledger.slots() == LIMIT + 1

    assert await ledger.dispatcher.pause("prj_a") == LIMIT + 1
    assert await ledger.dispatcher.pause("prj_a") == 0

    assert await ledger.slots() == 0


async def test_a_resume_of_many_moves_every_deadline(ledger: Bench) -> None:
    await ledger.fill_accepted(LIMIT + 1, deadline=timedelta(hours=1))
    long = await ledger.accept(deadline=timedelta(days=2))
    await ledger.dispatcher.pause("prj_a")

    assert await ledger.dispatcher.resume("prj_a") == LIMIT + 1

    early = "SELECT FROM live WHERE deadline < now() + interval '23 h'"
    assert await ledger.peek(early) == []
    kept = await ledger.live(long.request_id)
    assert kept is not None
    assert kept["deadline"] > 1.9 * DAY
    assert await flags(ledger) == {"live": False, "test": False}


async def test_a_resume_without_a_pause_gives_nobody_more_time(ledger: Bench) -> None:
    accepted = await ledger.accept(deadline=timedelta(hours=1))

    assert await ledger.dispatcher.resume("prj_a") == 0
    assert await ledger.dispatcher.resume("prj_unknown") == 0

    row = await ledger.live(accepted.request_id)
    assert row is not None
    assert row["deadline"] < DAY


async def test_what_outlived_its_deadline_in_a_pause_runs_after_it(ledger: Bench) -> None:
    accepted = await ledger.accept(deadline=timedelta(hours=1))
    await ledger.dispatcher.pause("prj_a")
    await ledger.shift(accepted.request_id, 7_200)
    assert await ledger.dispatcher.expire() == []

    await ledger.dispatcher.resume("prj_a")

    assert await ledger.dispatcher.expire() == []
    await ledger.dispatcher.release()
    assert len(await ledger.claim(accepted.request_id)) == 1


async def test_slots_of_a_release_under_way_are_taken_back(ledger: Bench) -> None:
    accepted = await ledger.accept()
    await ledger.dispatcher.pause("prj_a")
    await ledger.sql.execute("UPDATE project_counters SET is_paused = false")
    async with under_way(ledger.url) as first:
        assert [hint.request_id for hint in await release(first)] == [accepted.request_id]
        late = await begin_and_wait(ledger.dispatcher.pause("prj_a"), eyes=ledger.sql)

    assert await late == 1
    assert await ledger.claim(accepted.request_id) == []
    assert await ledger.slots() == 0


async def test_slots_of_an_accept_under_way_are_taken_back(ledger: Bench) -> None:
    await ledger.finish(ending(await ledger.claimed()))  # the counters are there
    async with under_way(ledger.url) as first:
        [accepted] = await accept(first, [submission()])
        assert isinstance(accepted, Accepted)
        assert accepted.hint is not None
        late = await begin_and_wait(ledger.dispatcher.pause("prj_a"), eyes=ledger.sql)

    assert await late == 1
    assert await ledger.claim(accepted.request_id) == []


async def test_a_release_that_meets_the_flag_gives_nothing(ledger: Bench) -> None:
    """It has read the project as open, and then waits for the counter that the pause holds."""
    await ledger.accept()
    await ledger.dispatcher.pause("prj_a")
    await ledger.sql.execute("UPDATE project_counters SET is_paused = false")
    async with under_way(ledger.url) as first:
        await first.execute("UPDATE project_counters SET is_paused = true")
        late = await begin_and_wait(ledger.dispatcher.release(), eyes=ledger.sql)

    assert await late == []
    assert await ledger.slots() == 0


async def test_an_accept_that_meets_the_flag_waits_without_a_slot(ledger: Bench) -> None:
    done = await ledger.claimed()
    await ledger.finish(ending(done))
    async with under_way(ledger.url) as first:
        await first.execute("UPDATE project_counters SET is_paused = true")
        late = await begin_and_wait(ledger.accept(), eyes=ledger.sql)

    assert (await late).hint is None
    assert await ledger.slots() == 0


async def test_a_claim_under_way_keeps_its_slot(ledger: Bench) -> None:
    accepted = await ledger.accept()
    async with under_way(ledger.url) as first:
        [claimed] = await claim(first, "executor-1", [accepted.request_id])
        late = await begin_and_wait(ledger.dispatcher.pause("prj_a"), eyes=ledger.sql)

    assert await late == 0
    assert await ledger.slots() == 1
    assert await ledger.finish(ending(claimed)) is not None
