"""Every process dies between any two of its steps: what was promised is kept, and nothing doubles.

Callers send again, under the same key, whatever they have no promise for. So in the end there is
exactly one request for each order, whether its first sending died before the commit, after it, or
with the answer on its lips.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from tests.faults.conftest import Judge
from tests.support.checker_sources import count, drained
from tests.support.client import CarefulClient, Order
from tests.support.crash_trial import Death, Scene, die, die_under_load
from tests.support.rolling import ask_to_stop
from tests.support.stack import System
from tests.support.stack_faults import Fault, Inflicted, inflict
from tests.support.waiting import until

EXECUTOR_RECOVERY_SECONDS = 20.0
RECOVERY_SECONDS = 10.0
LEASE_SECONDS = 40.0
PATIENCE = timedelta(seconds=60)
MANY = 30
PROCESSING = "SELECT count(*) FROM live WHERE state = 'processing'"

# Not the first time: others are then under way in the same process when it dies.
GATEWAY = (
    Death("accept.before_commit", 5),
    Death("accept.after_commit", 5),
    Death("answer.before_send", 9),
)
GATEWAY_2 = (Death("hint.before_publish", 5), Death("hint.after_publish", 5))
EXECUTOR = (
    Death("claim.before_commit", 5),
    Death("claim.after_commit", 5),
    Death("hint.after_ack", 5),
    Death("send.before_call", 5),
)
EXECUTOR_2 = (
    Death("answer.before_finish", 5),
    Death("finish.before_commit", 5),
    Death("finish.after_commit", 5),
)
DISPATCHER = (
    Death("dispatch.after_commit", 3),
    Death("relay.before_publish", 3),
    Death("relay.after_publish", 3),
)
BILLING = (Death("usage.before_commit", 3), Death("usage.after_commit", 3))

# The dispatcher mends what the gateways leave undone, so it does not die while they do.
SHORT: dict[str, list[Scene]] = {
    "those who take in, hand on and count": [
        {"dispatcher": DISPATCHER},
        {"gateway": GATEWAY, "gateway-2": GATEWAY_2, "billing-worker": BILLING},
    ],
    "those who call": [{"executor": EXECUTOR, "executor-2": EXECUTOR_2}],
}
FULL: dict[str, list[Scene]] = {
    death.point: [{name: [Death(death.point, nth) for nth in (1, 12, 40)]}]
    for scenes in SHORT.values()
    for scene in scenes
    for name, deaths in scene.items()
    for death in deaths
}


@pytest.mark.fault(1, 2, 3, 4, 50, 70, 80)
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "scenes",
    [
        *(pytest.param(scenes, id=name) for name, scenes in SHORT.items()),
        *(pytest.param(scenes, id=name, marks=pytest.mark.slow) for name, scenes in FULL.items()),
    ],
)
async def test_a_death_between_two_steps_loses_and_doubles_nothing(
    scenes: list[Scene], system: System, client: CarefulClient, judge: Judge
) -> None:
    story = await die_under_load(system, client, scenes)

    summary = await judge(story.began_at, inflicted=story.inflicted)

    assert (summary.accepted, summary.stored_unanswered) == (story.orders, 0)
    for process, seconds in summary.slowest_recovery.items():
        is_executor = process.startswith("executor")
        assert seconds <= (EXECUTOR_RECOVERY_SECONDS if is_executor else RECOVERY_SECONDS), process


@pytest.mark.slow
@pytest.mark.fault(50, 70)
async def test_a_dispatcher_that_dies_having_closed_orphans_leaves_nobody_waiting(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    """Half of them fail with that, for they wanted one attempt; the others are tried again."""
    since = datetime.now(UTC)
    once = {"max_attempts": 1}
    orders = [Order(number=n, model="sim-slow-4000ms", extra=once) for n in range(MANY)]
    orders += [Order(number=n, model="sim-slow-4001ms") for n in range(MANY)]
    sent = await asyncio.gather(*(client.submit(order) for order in orders))
    following = [asyncio.create_task(client.follow(one, PATIENCE)) for one in sent]
    requests = system.database_url("requests")

    async def are_all_called() -> bool:
        return await count(requests, PROCESSING) == 2 * MANY

    await until(are_all_called)
    dying = asyncio.create_task(die(system, "dispatcher", [Death("orphans.after_commit")]))
    both = (Fault("executor"), Fault("executor-2"))
    killed = await asyncio.gather(*(inflict(system, fault) for fault in both))
    died = await dying
    ends = await asyncio.gather(*following)
    await judge(since, inflicted=[*killed, died], expected={"sim-slow-4000ms": "failed"})

    assert Counter(one and (one.state, one.last_error_code) for one in ends) == {
        ("failed", "executor_crashed"): MANY,
        ("completed", None): MANY,
    }


@pytest.mark.slow
@pytest.mark.fault(51, 52)
async def test_an_executor_that_stands_still_between_claim_and_call_asks_before_it_calls(
    system: System, client: CarefulClient, judge: Judge
) -> None:
    """However it came to stand still: to the others a blocked event loop is a frozen process."""
    await system.restart("executor", {"CRASH_AT": "claim.after_commit:stop"})
    executor = psutil.Process(system.process("executor").pid)
    since = datetime.now(UTC)
    orders = [Order(number=n, gateway=n % 2, model="sim-slow-300ms") for n in range(MANY)]
    sent = await asyncio.gather(*(client.submit(order) for order in orders))
    assert all(one.is_accepted for one in sent), sent
    await until(lambda: executor.status() == psutil.STATUS_STOPPED)
    frozen_at = datetime.now(UTC)

    await drained(system, LEASE_SECONDS)
    held = datetime.now(UTC) - frozen_at
    system.process("executor").thaw()
    # Not before it goes on from its claim: asked to stop, it would begin nothing anyway.
    await until(lambda: _has_taken_hints(system))
    await ask_to_stop(system, "executor")
    stood_still = Inflicted("executor", "freeze", frozen_at, held, datetime.now(UTC))
    summary = await judge(since, inflicted=[stood_still])

    assert summary.outcomes["ambiguous"] > 0
    assert (summary.completed, summary.calls) == (MANY, MANY)


async def _has_taken_hints(system: System) -> bool:
    return await asyncio.to_thread(system.metric, "executor", "reqrun_hints_total") > 0
