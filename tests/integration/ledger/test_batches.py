"""What callers that share a batch may and may not feel of each other."""

import asyncio
import os
import random
from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from libs.common.contracts.event import decoder
from libs.common.contracts.executor import RequestsFinished
from libs.common.errors import Unavailable
from libs.ledger.accept import Accepted
from libs.ledger.connection import ItemRefused, LedgerAway
from libs.ledger.ledger import ACCEPT_BYTES, ACCEPT_QUEUE_BYTES, FINISH_BYTES, GatewayLedger
from libs.ledger.look import SMALL, Question, look
from libs.ledger.states import State
from tests.support.ledgers import Bench, ending, retry, submission


async def test_one_bad_value_fails_its_caller_alone(ledger: Bench) -> None:
    good = [submission(running_limit=100) for _ in range(20)]
    bad = submission(model="with a NUL \x00")

    answers = await asyncio.gather(
        *(ledger.gateway.accept(item) for item in (*good[:10], bad, *good[10:])),
        return_exceptions=True,
    )

    assert isinstance(answers[10], ItemRefused)
    assert await ledger.sql.fetchval("SELECT count(*) FROM live") == 20


async def test_an_id_that_exists_fails_its_caller_alone(ledger: Bench) -> None:
    first = await ledger.accept()

    answers = await asyncio.gather(
        ledger.gateway.accept(submission(id=first.request_id)),
        ledger.gateway.accept(submission()),
        return_exceptions=True,
    )

    assert isinstance(answers[0], ItemRefused)
    assert not isinstance(answers[1], BaseException)


async def test_a_cancelled_caller_does_not_cancel_the_batch(ledger: Bench) -> None:
    items = [submission(running_limit=100) for _ in range(5)]
    tasks = [asyncio.create_task(ledger.gateway.accept(item)) for item in items]
    await asyncio.sleep(0)
    tasks[2].cancel()

    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(answers[2], asyncio.CancelledError)
    stored = {row["id"] for row in await ledger.sql.fetch("SELECT id FROM live")}
    assert stored >= {item.id for index, item in enumerate(items) if index != 2}


async def test_a_finish_that_is_refused_whole_is_written_without_its_extras(
    ledger: Bench,
) -> None:
    claim = await ledger.claimed()

    written = await ledger.finish(ending(claim, provider_headers="not json"))

    assert written is not None
    assert written.state is State.COMPLETED
    assert (await ledger.gateway.look(Question("prj_a", "live", claim.request_id))) is not None


async def test_the_first_eight_slots_of_a_project_go_first(ledger: Bench) -> None:
    accepted = [await ledger.accept(running_limit=12) for _ in range(12)]

    lanes = [one.hint.is_first for one in accepted if one.hint]

    assert lanes == [True] * 8 + [False] * 4


async def test_a_flood_of_one_project_does_not_take_anothers_slots(ledger: Bench) -> None:
    for _ in range(30):
        await ledger.accept(project_id="prj_flood")

    other = await ledger.accept(project_id="prj_other")

    assert other.hint is not None


async def test_retries_get_slots_before_new_requests(ledger: Bench) -> None:
    claims = [await ledger.claimed() for _ in range(4)]
    new = await ledger.accept()
    await ledger.finish(retry(claims[0]))

    hints = await ledger.dispatcher.release()

    assert [hint.request_id for hint in hints] == [claims[0].request_id]
    assert new.hint is None


async def test_a_release_gives_every_project_its_turn(ledger: Bench) -> None:
    projects = [f"prj_{number}" for number in range(20)]
    for project in projects:
        for _ in range(3):
            await ledger.accept(project_id=project, running_limit=1)
    await ledger.sql.execute("UPDATE project_counters SET running_limit = 2")

    hints = await ledger.dispatcher.release()

    rows = await ledger.sql.fetch(
        "SELECT DISTINCT project_id FROM live WHERE id = ANY($1)",
        [hint.request_id for hint in hints],
    )
    assert len(hints) == 20
    assert {row["project_id"] for row in rows} == set(projects)


async def test_what_finishes_together_is_told_in_one_event(ledger: Bench) -> None:
    claims = [await ledger.claimed(running_limit=50) for _ in range(5)]

    await asyncio.gather(*(ledger.finish(ending(claim)) for claim in claims))

    bodies = await ledger.sql.fetch("SELECT routing_key, body FROM outbox ORDER BY id")
    read = decoder([RequestsFinished])
    told = [read(row["body"]) for row in bodies]
    ids = [
        one.id for event in told if isinstance(event, RequestsFinished) for one in event.requests
    ]
    assert sorted(ids) == sorted(claim.request_id for claim in claims)
    assert {row["routing_key"] for row in bodies} == {"requests.finished"}
    assert len(bodies) <= 3


async def test_another_project_and_another_mode_see_nothing(ledger: Bench) -> None:
    accepted = await ledger.accept()

    for project_id, mode in (("prj_b", "live"), ("prj_a", "test")):
        question = Question(project_id, mode, accepted.request_id)
        assert await ledger.gateway.look(question) is None
        assert await ledger.gateway.timeline(question) is None


async def test_a_look_gives_the_result_as_the_bytes_it_was(ledger: Bench) -> None:
    claim = await ledger.claimed()
    await ledger.finish(ending(claim, result=b'{"a" : 1.0e0}\n'))

    standing = await ledger.gateway.look(Question("prj_a", "live", claim.request_id))

    assert standing is not None
    assert (standing.state, standing.result) == (State.COMPLETED, b'{"a" : 1.0e0}\n')


async def test_large_results_are_brought_one_by_one_and_small_ones_beside_them(
    ledger: Bench,
) -> None:
    large, small = os.urandom(SMALL + 1), os.urandom(SMALL)
    claims = [await ledger.claimed() for _ in range(4)]
    for claim, result in zip(claims, (large, small, large, small), strict=True):
        await ledger.finish(ending(claim, result=result))
    questions = [Question("prj_a", "live", claim.request_id) for claim in claims]

    together = await ledger.gateway.database.run(
        lambda connection: look(connection, questions, result_bytes=SMALL)
    )
    each = await asyncio.gather(*(ledger.gateway.look(question) for question in questions))

    assert [(one.result, one.is_left_out) for one in together if one] == [
        (None, True),
        (small, False),
    ] * 2
    assert [one.result for one in each if one] == [large, small] * 2


async def test_more_large_answers_than_one_statement_can_carry_are_all_written(
    ledger: Bench,
) -> None:
    """Together, they would be 320 MB in one statement of five seconds."""
    answer = os.urandom(FINISH_BYTES // 2 + 1)
    claims = [await ledger.claimed(running_limit=100) for _ in range(40)]

    ended = await asyncio.gather(
        *(ledger.executor.finish(ending(claim, result=answer)) for claim in claims)
    )

    assert [one.state for one in ended if one] == [State.COMPLETED] * 40


async def test_more_large_bodies_than_one_statement_can_carry_make_way_for_others(
    ledger: Bench,
) -> None:
    """And those that cannot wait in memory are turned away at once."""
    body = os.urandom(ACCEPT_BYTES // 4)
    large = [
        asyncio.create_task(ledger.gateway.accept(submission(body=body, pending_limit=1_000)))
        for _ in range(100)
    ]
    await asyncio.sleep(0)
    small = await ledger.gateway.accept(submission(project_id="prj_b", account_id="acc_b"))

    assert isinstance(small, Accepted)
    assert not all(one.done() for one in large)
    outcomes = Counter(map(type, await asyncio.gather(*large, return_exceptions=True)))
    fit = ACCEPT_QUEUE_BYTES // len(body)
    assert outcomes == {Accepted: fit, Unavailable: 100 - fit}


TOTAL = 400


async def submit(gateway: GatewayLedger, chance: random.Random) -> None:
    for _ in range(TOTAL // 8):
        await gateway.accept(
            submission(
                project_id=f"prj_{chance.randrange(5)}",
                account_id=f"acc_{chance.randrange(3)}",
                running_limit=7,
            )
        )


async def execute(ledger: Bench, chance: random.Random) -> None:
    while await ledger.count("results") < TOTAL:
        ids = [row["id"] for row in await ledger.peek("SELECT id FROM live")]
        executor = chance.choice([ledger.executor, ledger.other])
        for claim in await executor.claim(chance.sample(ids, min(len(ids), 20))):
            is_retry = chance.random() < 0.3
            await executor.finish(retry(claim, counted=1) if is_retry else ending(claim))


async def dispatch(ledger: Bench) -> None:
    while await ledger.count("results") < TOTAL:
        await ledger.dispatcher.release()
        await ledger.dispatcher.rehint()


async def test_many_hands_at_once_leave_no_drift_and_one_result_each(ledger: Bench) -> None:
    """Two gateways, two executors and two dispatchers in a storm; the fixture checks drift."""
    chance = random.Random(20_261_122)  # noqa: S311  # a seed, to run it again
    second = GatewayLedger(ledger.url)
    try:
        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(submit(second if number % 2 else ledger.gateway, chance))
            for _ in range(3):
                group.create_task(execute(ledger, chance))
            for _ in range(2):
                group.create_task(dispatch(ledger))
    finally:
        await second.close()

    assert (await ledger.count("live"), await ledger.count("results")) == (0, TOTAL)


async def test_a_server_that_is_gone_is_said_to_be_away() -> None:
    gateway = GatewayLedger("postgresql://nobody@127.0.0.1:1/none")

    with pytest.raises(LedgerAway) as away:
        await gateway.accept(submission())

    assert away.value.retry_after == timedelta(seconds=1)
    assert not await gateway.database.is_ready()


async def test_a_connection_that_is_cut_is_replaced(ledger: Bench) -> None:
    await ledger.accept()
    await ledger.sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gateway'"
    )

    answers = [await asyncio.gather(ledger.accept(), return_exceptions=True) for _ in range(8)]

    assert isinstance(answers[-1][0], msgspec.Struct)
    assert all(isinstance(one[0], msgspec.Struct | LedgerAway) for one in answers)
