"""Lists: what each filter lets through, newest first, and a cursor that misses nobody."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.ids import lowest_id
from libs.ledger.cancel import Change
from libs.ledger.list_requests import Listed, ListQuestion
from libs.ledger.look import Question
from libs.ledger.states import State
from tests.support.ledgers import Bench, ending, retry


async def page(ledger: Bench, **filters: Any) -> list[Listed]:
    question = {"project_id": "prj_a", "mode": "live"} | filters
    return await ledger.gateway.list_requests(ListQuestion(**question))


async def one_of_each(ledger: Bench) -> dict[State, str]:
    """One request in every state; ids by state."""
    found: dict[State, str] = {}
    completed = await ledger.claimed()
    await ledger.finish(ending(completed))
    found[State.COMPLETED] = completed.request_id
    failed = await ledger.claimed(model="gpt-5")
    await ledger.finish(ending(failed, state=State.FAILED, error_code="provider_rejected"))
    found[State.FAILED] = failed.request_id
    cancelled = await ledger.accept()
    await ledger.gateway.cancel(Change(Question("prj_a", "live", cancelled.request_id)))
    found[State.CANCELLED] = cancelled.request_id
    retrying = await ledger.claimed()
    await ledger.finish(retry(retrying, timedelta(minutes=1)))
    found[State.RETRYING] = retrying.request_id
    found[State.PROCESSING] = (await ledger.claimed()).request_id
    found[State.QUEUED] = (await ledger.accept(model="gpt-5")).request_id
    return found


async def test_everything_is_listed_newest_first_as_a_look_would_tell_it(ledger: Bench) -> None:
    found = await one_of_each(ledger)

    listed = await page(ledger)

    assert [(one.id, one.state) for one in listed] == sorted(
        ((request_id, state) for state, request_id in found.items()), reverse=True
    )
    for one in listed:
        standing = await ledger.gateway.look(Question("prj_a", "live", one.id))
        assert standing is not None
        assert (one.state, one.attempts, one.last_error_code, one.created_at, one.updated_at) == (
            standing.state,
            standing.attempts,
            standing.last_error_code,
            standing.created_at,
            standing.updated_at,
        )
        assert (one.endpoint, one.body_expires_on) == ("chat/completions", standing.body_expires_on)


@pytest.mark.parametrize(
    "states", [*({state} for state in State), {State.FAILED, State.QUEUED}, set(State), set()]
)
async def test_states_are_let_through_as_asked(ledger: Bench, states: set[State]) -> None:
    found = await one_of_each(ledger)

    listed = await page(ledger, states=frozenset(states))

    assert [one.id for one in listed] == sorted((found[state] for state in states), reverse=True)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (None, [State.QUEUED, State.FAILED]),
        ({State.FAILED}, [State.FAILED]),
        ({State.QUEUED, State.COMPLETED}, [State.QUEUED]),
        ({State.COMPLETED}, []),
    ],
)
async def test_a_model_is_let_through_with_any_state(
    ledger: Bench, states: set[State] | None, expected: list[State]
) -> None:
    await one_of_each(ledger)

    listed = await page(ledger, model="gpt-5", states=states and frozenset(states))

    assert [one.state for one in listed] == expected


async def test_another_project_and_another_mode_list_nothing(ledger: Bench) -> None:
    await one_of_each(ledger)

    for filters in ({"project_id": "prj_b"}, {"mode": "test"}, {"project_id": "prj_"}):
        for states in (None, frozenset(State)):
            for model in (None, "gpt-5"):
                assert await page(ledger, states=states, model=model, **filters) == []


@pytest.mark.parametrize("states", [None, frozenset({State.QUEUED}), frozenset(State)])
@pytest.mark.parametrize("model", [None, "gpt-5-nano"])
async def test_pages_follow_each_other_without_a_gap_or_a_double(
    ledger: Bench, states: frozenset[State] | None, model: str | None
) -> None:
    ids = await ledger.fill_accepted(25)
    seen: list[str] = []
    last = None
    while rows := await page(ledger, states=states, model=model, before_id=last, limit=7):
        assert len(rows) <= 7
        seen += [one.id for one in rows]
        last = rows[-1].id

    assert seen == sorted(ids, reverse=True)


async def test_a_range_of_time_includes_its_begin_and_not_its_end(ledger: Bench) -> None:
    for _ in range(3):
        await ledger.accept()
    newest, middle, oldest = await page(ledger)

    for states in (None, frozenset(State)):
        between = await page(
            ledger,
            states=states,
            created_after=middle.created_at,
            created_before=newest.created_at,
        )
        before = await page(ledger, states=states, created_before=middle.created_at)
        assert [one.id for one in between] == [middle.id]
        assert [one.id for one in before] == [oldest.id]


@pytest.mark.parametrize(
    "at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)], ids=str
)
async def test_absurd_times_are_no_error(ledger: Bench, at: datetime) -> None:
    await ledger.accept()

    assert len(await page(ledger, created_after=at)) == int(at.year == 1)
    assert len(await page(ledger, created_before=at)) == int(at.year == 9999)


async def test_a_request_from_a_clock_that_runs_ahead_is_found_by_its_time(
    ledger: Bench,
) -> None:
    ahead = lowest_id("rr", datetime.now(UTC) + timedelta(seconds=30)) + "0" * 16
    await ledger.accept(id=ahead)
    [one] = await page(ledger)

    at = one.created_at
    assert await page(ledger, created_after=at, created_before=at + timedelta(seconds=1)) == [one]
    assert await page(ledger, created_before=at) == []


async def test_what_was_erased_is_listed_as_erased(ledger: Bench) -> None:
    accepted = await ledger.accept()
    await ledger.gateway.erase(Change(Question("prj_a", "live", accepted.request_id)))

    [one] = await page(ledger)

    assert one.erased_at is not None
    assert one.state is State.CANCELLED
