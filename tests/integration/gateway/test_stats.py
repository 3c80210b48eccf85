"""A project's numbers, hour by hour and day by day, asked for as accounts asks."""

from datetime import UTC, datetime, timedelta

import pytest

from libs.common.contracts.stats import ModelTally, StatsQuestion, Tally
from libs.common.errors import InvalidInput
from tests.support.overseen import Project

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def last_hours(count: int) -> StatsQuestion:
    # One more than now, for a test that runs over the full hour.
    end = this_hour() + 2 * HOUR
    return StatsQuestion(mode="live", from_=end - (count + 2) * HOUR, to=end)


async def move(project: Project, low: datetime, by: timedelta) -> None:
    """Shift what was counted, as if it had been earlier."""
    for table in ("rollups", "model_rollups"):
        await project.ledger.sql.execute(
            f"UPDATE {table} SET starts_at = date_trunc(step, starts_at - $3::interval, 'UTC')"  # noqa: S608  # constants
            " WHERE project_id = $1 AND starts_at >= $2",
            project.id,
            low,
            by,
        )


async def test_what_has_ended_is_told_by_the_hour(project: Project) -> None:
    done, failed = await project.submit(), await project.submit()
    await project.complete(done)
    await project.fail(failed)
    await project.submit()
    await project.ledger.dispatcher.roll_up()

    answer = await project.asking.stats(project.id, last_hours(24))

    assert len(answer.steps) == 26
    starts = [step.starts_at for step in answer.steps]
    assert starts == sorted(starts)
    ended = [step.tally for step in answer.steps if step.tally != Tally()]
    assert sum(tally.completed for tally in ended) == answer.total.completed == 1
    assert sum(tally.failed for tally in ended) == answer.total.failed == 1
    total = answer.total
    assert (total.cancelled, total.repeated, total.attempts) == (0, 0, 2)
    assert (total.prompt_tokens, total.completion_tokens) == (6, 8)
    assert total.provider_ms > 0
    assert total.p50_ms is not None
    assert total.p95_ms is not None
    assert 0 < total.p50_ms <= total.p95_ms
    assert answer.models == (
        ModelTally(model="gpt-5-nano", requests=2, prompt_tokens=6, completion_tokens=8),
    )
    assert datetime.now(UTC) - answer.counted_until < timedelta(minutes=1)


async def test_what_is_open_now_is_counted_by_state(project: Project) -> None:
    running, retrying = await project.submit(), await project.submit()
    for _ in range(2):
        await project.submit()
    await project.claim(running)
    await project.refuse(retrying, timedelta(hours=1))

    found = (await project.asking.stats(project.id, last_hours(1))).open

    assert (found.queued, found.processing, found.retrying) == (2, 1, 1)
    first = (await project.asking.show(project.id, running)).request.created_at
    assert found.oldest_created_at == first


async def test_requests_that_wait_for_a_slot_are_open_too(project: Project) -> None:
    await project.submit()
    await project.ledger.dispatcher.pause(project.id)
    await project.submit()

    found = (await project.asking.stats(project.id, last_hours(1))).open

    assert (found.queued, found.processing, found.retrying) == (2, 0, 0)
    await project.ledger.dispatcher.resume(project.id)


async def test_a_project_that_nobody_knows_has_empty_numbers(project: Project) -> None:
    answer = await project.asking.stats("prj_nobody", last_hours(2))

    assert answer.total == Tally()
    assert {step.tally for step in answer.steps} == {Tally()}
    assert (answer.models, answer.open.queued, answer.open.oldest_created_at) == ((), 0, None)


async def test_what_is_not_counted_yet_is_said(project: Project) -> None:
    while (await project.ledger.dispatcher.roll_up()).counted:
        pass
    before = datetime.now(UTC)
    done = await project.submit()
    await project.complete(done)

    answer = await project.asking.stats(project.id, last_hours(1))

    assert answer.total.completed == 0
    shown = await project.asking.show(project.id, done)
    assert shown.request.finished_at is not None
    assert before - timedelta(seconds=5) < answer.counted_until
    assert answer.counted_until - shown.request.finished_at < timedelta(seconds=5)


async def test_days_are_told_as_days_and_days_within_hours_are_not_told_twice(
    project: Project,
) -> None:
    low = this_hour() - DAY
    for age in (20, 10, 0):
        await project.complete(await project.submit())
        await project.ledger.dispatcher.roll_up()
        if age:
            await move(project, low, age * DAY)
    midnight = this_hour().replace(hour=0)
    month = StatsQuestion(mode="live", from_=midnight - 28 * DAY, to=midnight + 2 * DAY, step="day")
    hours = StatsQuestion(mode="live", from_=this_hour() - 28 * DAY, to=this_hour() + 2 * HOUR)
    within = StatsQuestion(mode="live", from_=this_hour() - 3 * HOUR, to=this_hour() + 2 * HOUR)

    by_day = await project.asking.stats(project.id, month)
    by_hour = await project.asking.stats(project.id, hours)
    today = await project.asking.stats(project.id, within)

    assert by_day.total.completed == by_hour.total.completed == 3
    assert by_day.models == by_hour.models
    assert by_day.models[0].requests == 3
    assert sum(step.tally.completed for step in by_day.steps) == 3
    assert {step.starts_at.hour for step in by_day.steps} == {0}
    assert (today.total.completed, today.models[0].requests) == (1, 1)


async def test_the_other_mode_has_its_own_numbers(project: Project) -> None:
    await project.complete(await project.submit())
    await project.ledger.dispatcher.roll_up()
    end = this_hour() + 2 * HOUR
    test = StatsQuestion(mode="test", from_=end - 3 * HOUR, to=end)

    assert (await project.asking.stats(project.id, test)).total == Tally()


@pytest.mark.parametrize(
    "question",
    [
        StatsQuestion(mode="live", from_=this_hour(), to=this_hour()),
        StatsQuestion(mode="live", from_=this_hour(), to=this_hour() + 32 * DAY),
        StatsQuestion(mode="live", from_=this_hour(), to=datetime.now(UTC)),
    ],
    ids=["empty", "long", "no whole hour"],
)
async def test_a_range_that_cannot_be_is_refused_in_so_many_words(
    project: Project, question: StatsQuestion
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await project.asking.stats(project.id, question)
    assert refused.value.code == "unsupported_parameter"
    assert "hour" in str(refused.value)
