"""Erase: nothing of a request's content stays, whatever else was under way."""

import pytest

from libs.ledger.accept import Idempotency, Known, Refusal, Refused
from libs.ledger.cancel import Change
from libs.ledger.erase import LIMIT, Erased, erase
from libs.ledger.finish import finish
from libs.ledger.look import Question
from libs.ledger.nonces import Nonce
from libs.ledger.states import State
from tests.support.interleaving import begin_and_wait, under_way
from tests.support.ledgers import Bench, ending, retry, submission


def change(request_id: str, nonce: Nonce | None = None) -> Change:
    return Change(Question("prj_a", "live", request_id), nonce)


async def content(ledger: Bench) -> tuple[int, int]:
    return await ledger.count("bodies"), await ledger.count("body_keys")


async def test_the_bodies_and_their_key_go_and_what_happened_stays(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    await ledger.finish(retry(claimed, provider_error=b"why"))
    await ledger.dispatcher.release()
    again = (await ledger.claim(claimed.request_id))[0]
    await ledger.finish(ending(again))
    assert await content(ledger) == (3, 1)

    answer = await ledger.gateway.erase(change(claimed.request_id))

    assert isinstance(answer, Erased)
    assert (answer.was_open, answer.standing.state) == (False, State.COMPLETED)
    assert answer.standing.is_erased
    assert await content(ledger) == (0, 0)
    timeline = await ledger.gateway.timeline(Question("prj_a", "live", claimed.request_id))
    assert [(one.outcome, one.provider_error) for one in timeline or []] == [
        ("transient", None),
        ("completed", None),
    ]


async def test_only_that_request_loses_its_content(ledger: Bench) -> None:
    accepted = await ledger.accept()
    await ledger.accept()

    await ledger.gateway.erase(change(accepted.request_id))

    assert await content(ledger) == (1, 1)


async def test_an_open_request_is_cancelled_and_erased_at_once(ledger: Bench) -> None:
    claimed = await ledger.claimed()

    answer = await ledger.gateway.erase(change(claimed.request_id))

    assert isinstance(answer, Erased)
    assert (answer.was_open, answer.standing.state) == (True, State.CANCELLED)
    assert await content(ledger) == (0, 0)
    assert await ledger.finish(ending(claimed)) is None
    assert await content(ledger) == (0, 0)
    assert await ledger.slots() == 0


async def test_a_second_erase_changes_nothing(ledger: Bench) -> None:
    accepted = await ledger.accept()
    await ledger.gateway.erase(change(accepted.request_id))
    first = await ledger.sql.fetchval("SELECT erased_at FROM requests")

    answer = await ledger.gateway.erase(change(accepted.request_id))

    assert isinstance(answer, Erased)
    assert not answer.was_open
    assert await ledger.sql.fetchval("SELECT erased_at FROM requests") == first
    assert await ledger.count("outbox") == 1


@pytest.mark.parametrize(("project", "mode"), [("prj_b", "live"), ("prj_a", "test")])
async def test_another_project_or_mode_erases_nothing(
    ledger: Bench, project: str, mode: str
) -> None:
    accepted = await ledger.accept()

    assert await ledger.gateway.erase(Change(Question(project, mode, accepted.request_id))) is None
    assert await content(ledger) == (1, 1)


async def test_a_used_nonce_erases_nothing(ledger: Bench) -> None:
    accepted = await ledger.accept(nonce="spent")

    answer = await ledger.gateway.erase(change(accepted.request_id, Nonce("key_a", "spent")))

    assert answer == Refused(Refusal.NONCE_REUSED)
    assert await content(ledger) == (1, 1)


async def test_the_idempotency_key_still_leads_to_the_erased_request(ledger: Bench) -> None:
    key = Idempotency("order-1", b"f" * 32)
    accepted = await ledger.accept(idempotency=key)
    await ledger.gateway.erase(change(accepted.request_id))

    assert await ledger.gateway.accept(submission(idempotency=key)) == Known(accepted.request_id)


async def test_a_finish_under_way_leaves_no_body_behind(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    async with under_way(ledger.url) as first:
        await finish(first, [ending(claimed, provider_error=b"odd")])
        late = await begin_and_wait(
            ledger.gateway.erase(change(claimed.request_id)), eyes=ledger.sql
        )

    answer = await late

    assert isinstance(answer, Erased)
    assert (answer.was_open, answer.standing.state) == (False, State.COMPLETED)
    assert await content(ledger) == (0, 0)


async def test_a_finish_during_the_erase_leaves_no_body_behind(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    async with under_way(ledger.url) as first:
        assert isinstance(await erase(first, change(claimed.request_id)), Erased)
        late = await begin_and_wait(ledger.finish(ending(claimed)), eyes=ledger.sql)

    assert await late is None
    assert await content(ledger) == (0, 0)
    result = await ledger.result(claimed.request_id)
    assert result is not None
    assert result["state"] == "cancelled"


async def erase_project(ledger: Bench, project_id: str = "prj_a") -> list[list[str]]:
    return [ids async for ids in ledger.dispatcher.erase_project(project_id)]


async def test_a_project_is_erased_in_both_modes_and_no_other_is_touched(ledger: Bench) -> None:
    done = await ledger.claimed(idempotency=Idempotency("k", b"f"))
    await ledger.finish(ending(done))
    running = await ledger.claimed()
    waiting = await ledger.accept(mode="test", idempotency=Idempotency("k", b"f"))
    other = await ledger.accept(project_id="prj_b", idempotency=Idempotency("k", b"f"))

    cancelled = [one for ids in await erase_project(ledger) for one in ids]

    assert sorted(cancelled) == sorted([running.request_id, waiting.request_id])
    rows = await ledger.sql.fetch("SELECT request_id FROM bodies NATURAL JOIN body_keys")
    assert [row["request_id"] for row in rows] == [other.request_id]
    keys = await ledger.sql.fetch("SELECT project_id FROM idempotency_keys")
    assert [row["project_id"] for row in keys] == ["prj_b"]
    kept = await ledger.sql.fetch("SELECT id FROM requests WHERE erased_at IS NULL")
    assert [row["id"] for row in kept] == [other.request_id]
    assert await erase_project(ledger) == []


async def test_a_large_project_goes_batch_by_batch_and_again_from_where_it_stopped(
    ledger: Bench,
) -> None:
    total = 2 * LIMIT + 1
    await ledger.fill_accepted(total)
    broken_off = ledger.dispatcher.erase_project("prj_a")
    first = await anext(broken_off)
    await broken_off.aclose()  # type: ignore[attr-defined]  # a generator behind its interface

    rest = await erase_project(ledger)

    assert [len(ids) for ids in (first, *rest)] == [LIMIT, LIMIT, 1]
    assert len({one for ids in (first, *rest) for one in ids}) == total
    assert await content(ledger) == (0, 0)
    assert await ledger.sql.fetchval("SELECT count(*) FROM requests WHERE erased_at IS NULL") == 0


async def test_a_finish_under_way_is_erased_with_its_project(ledger: Bench) -> None:
    claimed = await ledger.claimed()
    async with under_way(ledger.url) as first:
        await finish(first, [ending(claimed)])
        late = await begin_and_wait(erase_project(ledger), eyes=ledger.sql)

    assert [ids for ids in await late if ids] == []
    assert await content(ledger) == (0, 0)


async def test_a_paused_project_can_be_erased_and_is_not_held_for_ever(ledger: Bench) -> None:
    await ledger.accept()
    await ledger.dispatcher.pause("prj_a")

    await erase_project(ledger)

    assert await ledger.count("project_counters WHERE is_paused") == 0
