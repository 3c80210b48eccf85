"""Processes and callers that leave: by a signal, in turn, or in the middle of a wait."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from aio_pika import Message

from libs.common.broker.topology import WORK_FIRST, WORK_REST
from tests.faults.conftest import Judge
from tests.support import queues
from tests.support.checker import Call
from tests.support.checker_sources import count, drained, read_calls
from tests.support.client import CarefulClient, Order, Sent
from tests.support.load import Load, Wishes
from tests.support.rolling import another, ask_to_stop
from tests.support.stack import System
from tests.support.stack_faults import Fault, Inflicted, inflict
from tests.support.waiting import until

OPEN = "SELECT count(*) FROM live"
AMBIGUOUS = "SELECT count(*) FROM attempts WHERE outcome = 'ambiguous'"
OWNED = "SELECT count(*) FROM live WHERE state = 'processing' AND lease_owner LIKE '%-{}-%'"
WAITING = "reqrun_gateway_waiting_calls"
DISPATCHED = "reqrun_dispatched_total"
GRACE_SECONDS = 5.0
MANY = 40

# Where there are two of a kind, the other goes on.
WAVES = (
    ("gateway", "executor", "dispatcher", "accounts"),
    ("gateway-2", "executor-2", "accounts-worker", "billing-worker"),
)
IN_TURN = tuple((name,) for wave in WAVES for name in wave)
STEADY = Wishes(seed=7, rate=60, wait_share=0.5, gateways=2, insists=True)


async def submit(client: CarefulClient, many: int, model: str) -> list[Sent]:
    """All at once; every one must be taken."""
    orders = [Order(number=n, gateway=n % 2, model=model) for n in range(many)]
    sent = await asyncio.gather(*(client.submit(order) for order in orders))
    assert all(one.is_accepted for one in sent), sent
    return sent


def calls_since(system: System, since: datetime) -> list[Call]:
    return [call for call in read_calls(system.call_log) if call.started_at >= since]


async def owned(system: System, executor: str) -> int:
    """How many attempts an executor has under way, by the process id in its name."""
    pid = system.process(executor).pid
    return await count(system.database_url("requests"), OWNED.format(pid))


@pytest.mark.fault(8)
async def test_a_caller_who_leaves_while_waiting_leaves_the_request_running(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    orders = [
        Order(number=n, gateway=n % 2, is_waiting=True, model="sim-slow-1000ms")
        for n in range(MANY)
    ]
    callers = [asyncio.create_task(client.submit(order)) for order in orders]
    await until(lambda: len(calls_since(system, since)) == MANY)

    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)

    async def is_nobody_waiting() -> bool:
        names = ("gateway", "gateway-2")
        return not any([await asyncio.to_thread(system.metric, n, WAITING) for n in names])

    await until(is_nobody_waiting, 10)
    summary = await judge(since, inflicted=[])
    assert (summary.stored_unanswered, summary.completed, summary.calls) == (MANY, MANY, MANY)


@pytest.mark.fault(63)
async def test_one_hint_many_times_at_once_makes_one_call(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    sent = await submit(client, MANY, "sim-slow-1000ms")
    hints = [Message((one.request_id or "").encode()) for one in sent] * 20

    async with queues.side_channel(system.stack.rabbitmq.url) as channel:
        publish = channel.default_exchange.publish
        both = (WORK_FIRST, WORK_REST)
        await asyncio.gather(*(publish(hint, queue) for hint in hints for queue in both))
    summary = await judge(since, inflicted=[])

    assert (summary.completed, summary.calls) == (MANY, MANY)


@pytest.mark.fault(65)
async def test_an_executor_asked_to_stop_finishes_the_calls_it_has(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    await submit(client, MANY, "sim-slow-2000ms")
    await until(lambda: len(calls_since(system, since)) == MANY)
    assert await owned(system, "executor") > 0

    await ask_to_stop(system, "executor")
    stopped_after = datetime.now(UTC) - since
    await system.restart("executor")
    summary = await judge(since, inflicted=[])

    assert stopped_after < timedelta(seconds=2 + GRACE_SECONDS)
    assert (summary.completed, summary.calls) == (MANY, MANY)


@pytest.mark.slow
@pytest.mark.fault(66)
async def test_calls_longer_than_the_grace_are_given_up_and_done_by_another(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    requests = system.database_url("requests")
    before = await count(requests, AMBIGUOUS)
    await submit(client, MANY, "sim-slow-8000ms")
    await until(lambda: len(calls_since(system, since)) == MANY)
    given_up = await owned(system, "executor")
    asked_at = datetime.now(UTC)

    await ask_to_stop(system, "executor")
    took = datetime.now(UTC) - asked_at
    await drained(system, 60)
    await system.restart("executor")
    stop = Inflicted("executor", "kill", asked_at, took, datetime.now(UTC))
    summary = await judge(since, inflicted=[stop])

    assert given_up > 0
    assert took < timedelta(seconds=GRACE_SECONDS + 5)
    assert await count(requests, AMBIGUOUS) - before == given_up
    assert summary.calls == MANY + given_up


@pytest.mark.fault(67)
async def test_a_gateway_asked_to_stop_answers_everybody_who_waits(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    """Nobody's connection is reset: who waits is told that it goes on, and where."""
    since = datetime.now(UTC)
    orders = [
        Order(number=n, is_waiting=True, model="sim-slow-4000ms", extra={"wait_timeout": 10})
        for n in range(MANY)
    ]
    callers = [asyncio.create_task(client.submit(order)) for order in orders]
    await until(lambda: len(calls_since(system, since)) == MANY)

    await ask_to_stop(system, "gateway")
    sent = await asyncio.gather(*callers)
    await system.restart("gateway")
    summary = await judge(since, inflicted=[])

    assert Counter((one.status_code, one.state) for one in sent) == {(200, "processing"): MANY}
    assert (summary.accepted, summary.calls) == (MANY, MANY)


@pytest.mark.fault(69)
async def test_two_dispatchers_share_the_work_and_double_none_of_it(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    load, stop = Load(client, STEADY), asyncio.Event()
    async with another(system, "dispatcher") as other:
        before = await asyncio.to_thread(system.metric, "dispatcher", DISPATCHED)

        async def have_both_worked() -> bool:
            one = await asyncio.to_thread(system.metric, "dispatcher", DISPATCHED)
            return one > before and await asyncio.to_thread(system.metric, other, DISPATCHED) > 0

        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(stop, at_least=120))
            await until(have_both_worked)
            stop.set()
        await drained(system, 30)
    summary = await judge(load.began_at, inflicted=[])

    assert summary.outcomes.keys() <= {"completed", "transient", "permanent"}


@pytest.mark.fault(71)
async def test_without_a_dispatcher_new_requests_are_done_and_retries_wait_for_it(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    since = datetime.now(UTC)
    await system.kill("dispatcher")

    done = await asyncio.gather(
        *(client.submit(Order(number=n, gateway=n % 2, is_waiting=True)) for n in range(MANY))
    )
    await submit(client, MANY, "sim-500-once")
    await until(lambda: len(calls_since(system, since)) == 2 * MANY)
    requests = system.database_url("requests")

    async def wait_for_a_retry() -> bool:
        retrying = f"{OPEN} WHERE state = 'retrying' AND not_before < clock_timestamp()"
        return await count(requests, retrying) == MANY

    await until(wait_for_a_retry)
    took = max(one.answered_at - one.sent_at for one in done)
    await system.start("dispatcher")
    summary = await judge(since)

    assert {one.state for one in done} == {"completed"}
    assert took < timedelta(seconds=5)
    assert (summary.completed, summary.calls) == (2 * MANY, 3 * MANY)


@pytest.mark.fault(68)
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "waves", [WAVES, pytest.param(8 * IN_TURN, marks=pytest.mark.slow)], ids=["waves", "in turn"]
)
async def test_every_process_is_restarted_under_load_and_no_call_fails(
    waves: tuple[tuple[str, ...], ...], system: System, client: CarefulClient, judge: Judge
) -> None:
    """No balancer here takes a gateway out first: who finds its door closed goes to the other."""
    load, stop = Load(client, STEADY), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(stop))
        for wave in waves:
            await asyncio.gather(*(ask_to_stop(system, name) for name in wave))
            await asyncio.gather(*(system.restart(name) for name in wave))
        stop.set()
    summary = await judge(load.began_at, inflicted=[])

    failures = Counter(one.error for one in client.sent if not one.is_accepted)
    print(f"\n{len(client.sent)} calls, {len(waves)} waves, not taken: {dict(failures)}")  # noqa: T201  the figures
    assert failures.keys() <= {"ConnectionRefusedError"}
    assert summary.stored_unanswered == 0
    assert summary.repeated.keys() <= {"failed at the provider"}


@pytest.mark.slow
@pytest.mark.fault(25)
@pytest.mark.timeout(300)
async def test_a_request_that_kills_every_executor_that_takes_it_fails_and_the_others_complete(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    """Whoever calls the provider for it is dead at once; five times, then it is given up."""
    poison = await client.submit(Order(number=0, model="sim-slow-60000ms"))
    since = poison.sent_at
    load = Load(client, Wishes(seed=25, rate=20, models={"sim-ok": 1}, gateways=2))
    stop, inflicted = asyncio.Event(), []
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(stop))
        for crash in range(5):
            killer = await _taker(system, poison, fence=crash + 1)
            inflicted.append(await inflict(system, Fault(killer)))
        end = await client.follow(poison, timedelta(seconds=40))
        stop.set()
    await judge(since, inflicted=inflicted, expected={"sim-slow-60000ms": "failed"})

    assert end is not None
    assert (end.state, end.last_error_code, end.attempts) == ("failed", "executor_crashed", 5)


async def _taker(system: System, sent: Sent, fence: int) -> str:
    """Which executor calls the provider for a request now, for the `fence`th time."""

    def is_called() -> bool:
        mine = (call for call in read_calls(system.call_log) if call.request_id == sent.request_id)
        return any(call.fence == fence for call in mine)

    await until(is_called, 40)
    requests, one = system.database_url("requests"), f" AND id = '{sent.request_id}'"
    for name in ("executor", "executor-2"):
        if await count(requests, OWNED.format(system.process(name).pid) + one):
            return name
    raise AssertionError("nobody has it")
