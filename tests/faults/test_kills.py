"""Kill, freeze and wipe anything under load: nothing lost, nothing doubled, nothing paid twice.

The short form inflicts each fault once. The full form, marked slow, kills every role twenty times
under at least 5 000 requests.
"""

from pathlib import Path

import pytest

from tests.faults.conftest import Tell
from tests.support.checker_summary import Summary
from tests.support.client import CarefulClient
from tests.support.load import Wishes
from tests.support.load_trial import Trial, run_trial
from tests.support.stack import System
from tests.support.stack_faults import Fault, kills

EXECUTOR_RECOVERY_SECONDS = 20.0
RECOVERY_SECONDS = 10.0
SEED = 20_261_122
RATE = 210.0
FULL_REQUESTS = 5_000
FULL_KILLS = 20

# In an order in which no fault hinders the recovery from the one before: what only the dispatcher
# can mend needs it, its database and 15 seconds of contact between them.
SHORT = (
    Fault("redis"),
    Fault("redis", "flush"),
    Fault("redis", "freeze", seconds=2),
    Fault("rabbitmq", "freeze", seconds=3),
    Fault("rabbitmq", pause=2),
    Fault("accounts"),
    Fault("accounts-worker"),
    Fault("billing-worker"),
    Fault("rabbitmq", "wipe", pause=2),
    Fault("gateway"),
    Fault("gateway-2"),
    Fault("postgresql", pause=4),
    Fault("dispatcher", pause=4),
    Fault("executor", pause=3),
    Fault("executor-2", pause=1),
)
# So long apart that each recovery is seen for itself.
APART = 25.0
SERVERS_FULL = {
    "postgresql": [Fault("postgresql", pause=APART)] * 5,
    "rabbitmq": [
        Fault("rabbitmq", pause=APART),
        Fault("rabbitmq", "wipe", pause=APART),
        Fault("rabbitmq", "freeze", seconds=10, pause=APART),
    ]
    * 2,
    "redis": [
        Fault("redis", pause=2),
        Fault("redis", "flush", pause=2),
        Fault("redis", "freeze", seconds=5, pause=2),
    ]
    * 3,
}
# What is one role runs as several processes here: so that the others can go on. There is one
# dispatcher, and what waits for it alone must have been done before its next death is judged.
ROLES_FULL = {
    "gateway": (("gateway", "gateway-2"), (0.5, 2.0)),
    "executor": (("executor", "executor-2"), (0.5, 2.0)),
    "dispatcher": (("dispatcher",), (4.0, 7.0)),
    "accounts": (("accounts",), (0.5, 2.0)),
    "accounts-worker": (("accounts-worker",), (0.5, 2.0)),
    "billing": (("billing-worker",), (0.5, 2.0)),
}
FULL = {
    **{
        role: kills(names, FULL_KILLS // len(names), SEED, pauses)
        for role, (names, pauses) in ROLES_FULL.items()
    },
    **SERVERS_FULL,
}


def wishes(seed: int = SEED) -> Wishes:
    return Wishes(seed=seed, rate=RATE, gateways=2)


def judge(summary: Summary) -> None:
    """The promise: nothing broken, and soon well again."""
    assert summary.violations == {}
    for fault, seconds in summary.slowest_recovery.items():
        is_executor = fault.startswith("executor")
        limit = EXECUTOR_RECOVERY_SECONDS if is_executor else RECOVERY_SECONDS
        assert seconds <= limit, (fault, seconds)


@pytest.mark.fault(12, 13, 30, 34, 46, 47, 48)
@pytest.mark.timeout(400)
async def test_a_fault_of_every_kind_under_load_loses_and_doubles_nothing(
    system: System, client: CarefulClient, tell: Tell, tmp_path: Path
) -> None:
    trial = Trial(
        what="everything once", wishes=wishes(), faults=SHORT, drain_seconds=45, settles=True
    )

    summary = await run_trial(system, client, trial, tmp_path)

    tell(summary)
    assert summary.accepted > 1_000
    judge(summary)


@pytest.mark.slow
@pytest.mark.fault(12, 13, 30, 34, 46, 47, 48)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", FULL)
async def test_many_faults_under_load_lose_and_double_nothing(
    what: str, system: System, client: CarefulClient, tell: Tell, tmp_path: Path
) -> None:
    trial = Trial(what=what, wishes=wishes(), faults=FULL[what], count=FULL_REQUESTS)

    summary = await run_trial(system, client, trial, tmp_path)

    tell(summary)
    assert summary.sent >= FULL_REQUESTS
    assert summary.rate >= 200
    judge(summary)
