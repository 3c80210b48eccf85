"""The worker on a real ledger, broker and Redis, against the simulator."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial

import pytest
from redis.asyncio import Redis

from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis as RedisServer
from libs.common import database_signs
from libs.common.contracts.gateway import WAKE_UP_CHANNEL, Ended, decode_wake_up
from libs.ledger.claim import LEASE
from libs.ledger.finish import Finish, Finished
from libs.ledger.look import Question
from libs.ledger.states import State
from services.executor.use_cases import attempts
from services.executor.use_cases.leases import is_ours
from services.executor.use_cases.running import Floor, Running
from tests.support import queues
from tests.support.ledgers import Bench, bench
from tests.support.simulator import simulator
from tests.support.waiting import until
from tests.support.workers import Worker, worker


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(ledger_url) as hands:
        yield hands


@pytest.fixture
async def running(
    ledger: Bench, rabbitmq_server: RabbitMq, redis_server: RedisServer
) -> AsyncIterator[Worker]:
    await queues.reset(rabbitmq_server.url)
    async with (
        simulator() as origin,
        worker(ledger, rabbitmq_server.url, redis_server.url, origin) as hands,
    ):
        yield hands


Told = Callable[[], Awaitable[list[Ended]]]


@pytest.fixture
async def told_next(redis_server: RedisServer) -> AsyncIterator[Told]:
    """The next wake-up that is told from now on."""
    async with Redis.from_url(redis_server.url) as redis, redis.pubsub() as heard:
        await heard.subscribe(WAKE_UP_CHANNEL)
        assert await heard.get_message(timeout=5) is not None

        async def hear() -> list[Ended]:
            message = await heard.get_message(ignore_subscribe_messages=True, timeout=10)
            assert message is not None
            return decode_wake_up(message["data"])

        yield hear


async def is_final(ledger: Bench, request_id: str) -> bool:
    return await ledger.result(request_id) is not None


async def test_a_hint_becomes_a_result_and_a_wake_up(
    ledger: Bench, running: Worker, told_next: Told
) -> None:
    kept = await running.accept("sim-ok")

    await running.hint(kept.id)

    [told] = await told_next()
    standing = await ledger.gateway.look(Question("prj_a", "test", kept.id))
    assert standing is not None
    assert standing.state is State.COMPLETED
    assert standing.result is not None
    assert json.loads(kept.seal.open(standing.result, "result"))["object"] == "chat.completion"
    assert told == Ended(kept.id, 1, standing.result)


async def test_a_failing_provider_leaves_its_reason_in_the_timeline(
    ledger: Bench, running: Worker
) -> None:
    kept = await running.accept("sim-400")

    await running.hint(kept.id)
    await until(lambda: is_final(ledger, kept.id))

    attempts = await ledger.gateway.timeline(Question("prj_a", "test", kept.id))
    assert attempts is not None
    assert [(one.outcome, one.status_code) for one in attempts] == [("permanent", 400)]
    assert attempts[0].provider_error is not None
    assert b"error" in kept.seal.open(attempts[0].provider_error, "provider_error", 1)


@pytest.mark.fault(53)
async def test_a_rate_limited_request_waits_as_long_as_the_provider_asks(
    ledger: Bench, running: Worker
) -> None:
    request_id = (await running.accept("sim-429-once")).id

    await running.hint(request_id)
    await until(lambda: has_state(ledger, request_id, "retrying"))
    found = await ledger.live(request_id)
    assert found is not None
    assert found["has_slot"] is False
    await ledger.sql.execute("DELETE FROM cooldowns")
    await ledger.sql.execute("UPDATE live SET not_before = clock_timestamp()")
    await running.hint(*[hint.request_id for hint in await ledger.dispatcher.release()])
    await until(lambda: is_final(ledger, request_id))

    attempts = await ledger.gateway.timeline(Question("prj_a", "test", request_id))
    assert attempts is not None
    assert [(one.outcome, one.status_code) for one in attempts] == [
        ("transient", 429),
        ("completed", 200),
    ]
    assert attempts[0].retry_rule is not None


@pytest.mark.fault(54)
async def test_a_provider_that_keeps_failing_uses_up_the_attempts(
    ledger: Bench, running: Worker
) -> None:
    request_id = (await running.accept("sim-500-always", max_attempts=3)).id

    await running.hint(request_id)
    async with asyncio.timeout(60):
        while not await is_final(ledger, request_id):
            await ledger.sql.execute(
                "UPDATE live SET not_before = clock_timestamp() WHERE slot_at IS NULL"
            )
            await running.hint(*[hint.request_id for hint in await ledger.dispatcher.release()])

    result = await ledger.result(request_id)
    assert result is not None
    assert (result["last_error_code"], result["attempts"]) == ("provider_unavailable", 3)


async def has_state(ledger: Bench, request_id: str, state: str) -> bool:
    row = await ledger.live(request_id)
    return row is not None and row["state"] == state


@pytest.mark.parametrize("mode", ["live", "test"])
async def test_while_accounts_is_away_the_claim_on_a_project_nobody_knows_is_given_back(
    ledger: Bench, running: Worker, mode: str
) -> None:
    kept = await running.accept("sim-ok", mode=mode)
    running.accounts.silence()

    await running.hint(kept.id)

    await until(lambda: was_given_back(ledger, kept.id))
    assert await ledger.attempts(kept.id) == []


async def test_a_live_request_goes_to_its_projects_own_provider(
    ledger: Bench, running: Worker
) -> None:
    running.accounts.connect("prj_a", f"{running.simulator_url}/v1")
    kept = await running.accept("sim-ok", mode="live")

    await running.hint(kept.id)
    await until(lambda: is_final(ledger, kept.id))

    assert await running.is_called()


@pytest.mark.parametrize("is_erased", [True, False])
async def test_a_project_without_a_provider_sends_nothing(
    ledger: Bench, running: Worker, *, is_erased: bool
) -> None:
    running.accounts.erased |= {"prj_a"} if is_erased else set()
    kept = await running.accept("sim-ok", mode="live")

    await running.hint(kept.id)

    await until(lambda: is_final(ledger, kept.id))
    assert await error_of(ledger, kept.id) == "no_provider_connection"
    assert not await running.is_called()


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE bodies SET content = content || '\\x00'::bytea",
        "UPDATE body_keys SET secret = sha256(secret)",
        "DELETE FROM bodies",
        "DELETE FROM body_keys",
    ],
)
async def test_a_body_that_does_not_open_fails_for_good_and_is_not_sent(
    ledger: Bench, running: Worker, spoil: str
) -> None:
    kept = await running.accept("sim-ok")
    await ledger.sql.execute(spoil)

    await running.hint(kept.id)

    await until(lambda: is_final(ledger, kept.id))
    assert await error_of(ledger, kept.id) == "content_unreadable"
    assert [one["sent_at"] for one in await ledger.attempts(kept.id)] == [None]
    assert not await running.is_called()


async def error_of(ledger: Bench, request_id: str) -> str | None:
    result = await ledger.result(request_id)
    assert result is not None
    code: str | None = result["last_error_code"]
    return code


async def test_nothing_the_provider_said_stands_in_the_ledger_in_the_clear(
    ledger: Bench, running: Worker
) -> None:
    kept = [await running.accept(model) for model in ("sim-ok", "sim-400")]
    await running.hint(*(one.id for one in kept))
    for one in kept:
        await until(partial(is_final, ledger, one.id))

    rows = await ledger.peek("SELECT content FROM bodies")
    assert len(rows) == 4
    for word in (b"model", b"message", b"error", b"choices"):
        assert not [row for row in rows if word in row["content"]]


async def was_given_back(ledger: Bench, request_id: str) -> bool:
    row = await ledger.live(request_id)
    return row is not None and (row["state"], row["fence"], row["attempts"]) == ("queued", 1, 0)


async def test_a_stop_finishes_what_is_under_way_and_takes_nothing_more(
    ledger: Bench, running: Worker
) -> None:
    slow = (await running.accept("sim-slow-800ms")).id
    await running.hint(slow)
    await until(running.is_called)

    await running.end()

    assert await is_final(ledger, slow)


async def test_a_lost_lease_cuts_the_call(
    ledger: Bench, running: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.use_cases.leases.EVERY", timedelta(milliseconds=50))
    request_id = (await running.accept("sim-slow-60000ms")).id
    await running.hint(request_id)
    await until(lambda: has_state(ledger, request_id, "processing"))

    await ledger.sql.execute("UPDATE live SET fence = fence + 1")
    await running.end()  # drains at once only if the call was cut

    assert await ledger.attempts(request_id) == []


async def test_an_answer_in_hand_is_written_when_the_ledger_is_back(
    ledger: Bench, rabbitmq_server: RabbitMq, redis_server: RedisServer
) -> None:
    await queues.reset(rabbitmq_server.url)
    refusals = 3
    finish = ledger.executor.finish

    async def fails_first(item: Finish) -> Finished | None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise ConnectionError
        return await finish(item)

    ledger.executor.finish = fails_first  # type: ignore[method-assign]
    async with (
        simulator() as origin,
        worker(ledger, rabbitmq_server.url, redis_server.url, origin) as hands,
    ):
        request_id = (await hands.accept("sim-ok")).id
        await hands.hint(request_id)
        await until(lambda: is_final(ledger, request_id))

    assert (refusals, len(await ledger.attempts(request_id))) == (0, 1)


@pytest.mark.fault(52)
async def test_who_stood_still_past_a_lease_asks_before_it_calls(
    ledger: Bench, running: Worker
) -> None:
    claim = await ledger.claimed(mode="test")
    floor = Floor(1)
    task = asyncio.current_task()
    assert task is not None
    floor.enter(Running(claim, task, time.monotonic() - LEASE.total_seconds()))

    assert await is_ours(running.ports, floor, claim)
    assert floor.is_surely_leased(claim)

    floor.renewed(floor.leases(), time.monotonic() - LEASE.total_seconds())
    await ledger.sql.execute("UPDATE live SET fence = fence + 1")
    assert not await is_ours(running.ports, floor, claim)


async def test_no_more_run_at_once_than_there_are_places(
    ledger: Bench, rabbitmq_server: RabbitMq, redis_server: RedisServer
) -> None:
    await queues.reset(rabbitmq_server.url)
    async with (
        simulator() as origin,
        worker(ledger, rabbitmq_server.url, redis_server.url, origin, places=3) as hands,
    ):
        ids = [(await hands.accept("sim-slow-200ms")).id for _ in range(9)]
        await hands.hint(*ids)
        most = 0
        while await ledger.count("results") < len(ids):
            rows = await ledger.peek("SELECT count(*) FROM live WHERE state = 'processing'")
            most = max(most, int(rows[0][0]))

    assert 0 < most <= 3


async def test_some_places_are_kept_for_the_first_slots_of_others(
    ledger: Bench, rabbitmq_server: RabbitMq, redis_server: RedisServer
) -> None:
    """One project's long calls fill all but the kept places; another's request runs at once."""
    await queues.reset(rabbitmq_server.url)
    async with (
        simulator() as origin,
        worker(ledger, rabbitmq_server.url, redis_server.url, origin, places=8) as hands,
    ):
        flood = [(await hands.accept("sim-slow-5000ms")).id for _ in range(12)]
        await hands.hint(*flood, is_first=False)
        await until(lambda: are_running(ledger, 7))
        other = (await hands.accept("sim-ok", project_id="prj_other")).id

        await hands.hint(other)
        await until(lambda: is_final(ledger, other), seconds=4)


async def are_running(ledger: Bench, count: int) -> bool:
    rows = await ledger.peek("SELECT count(*) FROM live WHERE state = 'processing'")
    return int(rows[0][0]) == count


async def test_a_large_result_is_not_told(
    running: Worker, told_next: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every gateway hears every wake-up; who waits reads it from the ledger."""
    monkeypatch.setattr(attempts, "TOLD_RESULT_BYTES", 100)
    kept = await running.accept("sim-ok")

    await running.hint(kept.id)

    assert await told_next() == [Ended(kept.id)]


@pytest.mark.parametrize("nonsense", ["rr_\x00", "rr_", "", "'; --", "rr_" + "0" * 26 + "\n"])
async def test_a_hint_that_names_no_request_is_passed_over(
    ledger: Bench, running: Worker, nonsense: str
) -> None:
    await running.hint(nonsense)
    kept = await running.accept("sim-ok")
    await running.hint(kept.id)

    await until(lambda: is_final(ledger, kept.id))


async def test_a_statement_that_the_ledger_cannot_run_costs_no_running_call(
    ledger: Bench, running: Worker
) -> None:
    slow, waiting = await running.accept("sim-slow-2000ms"), await running.accept("sim-ok")
    await running.hint(slow.id)
    await until(lambda: is_begun(ledger, slow.id))
    before = failed_statements()
    await ledger.sql.execute("ALTER TABLE live RENAME TO hidden")
    try:
        await running.hint(waiting.id)
        await until(lambda: failed_statements() > before)
    finally:
        await ledger.sql.execute("ALTER TABLE hidden RENAME TO live")

    await until(lambda: is_final(ledger, waiting.id))
    await until(lambda: is_final(ledger, slow.id))
    calls = "SELECT count(*) FROM attempts WHERE request_id = $1"
    assert await ledger.sql.fetchval(calls, slow.id) == 1


async def is_begun(ledger: Bench, request_id: str) -> bool:
    state = "SELECT state FROM live WHERE id = $1"
    return bool(await ledger.sql.fetchval(state, request_id) == "processing")


def failed_statements() -> float:
    return sum(
        sample.value
        for metric in database_signs.ERRORS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["why"] == "other"
    )
