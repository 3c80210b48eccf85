"""A storm: random faults, one after the other, under load, for as long as one likes.

`make chaos MINUTES=30`; the seed is printed, and the same seed makes the same storm.
"""

import os
import random
from itertools import accumulate
from pathlib import Path
from typing import Final

import pytest

from tests.faults.conftest import Tell
from tests.support.client import CarefulClient
from tests.support.load import Wishes
from tests.support.load_trial import Trial, run_trial
from tests.support.stack import System
from tests.support.stack_faults import Fault

MINUTES: Final = float(os.environ.get("REQRUN_STORM_MINUTES", "2"))
SEED: Final = int(os.environ.get("REQRUN_STORM_SEED", "1"))
RATE: Final = 100.0
DRAIN_SECONDS: Final = 120.0

# How often each comes, against the others. What stays down or frozen does so for `seconds`.
WEATHER: Final[dict[Fault, int]] = {
    Fault("gateway"): 3,
    Fault("gateway-2"): 3,
    Fault("executor"): 3,
    Fault("executor-2"): 3,
    Fault("executor", "freeze", seconds=20): 1,
    Fault("gateway-2", "freeze", seconds=5): 1,
    Fault("dispatcher"): 3,
    Fault("dispatcher", "freeze", seconds=8): 1,
    Fault("accounts"): 2,
    Fault("accounts-worker"): 1,
    Fault("billing-worker"): 2,
    Fault("postgresql"): 2,
    Fault("postgresql", "freeze", seconds=6): 1,
    Fault("rabbitmq"): 2,
    Fault("rabbitmq", "freeze", seconds=6): 2,
    Fault("rabbitmq", "wipe"): 1,
    Fault("redis"): 2,
    Fault("redis", "freeze", seconds=4): 2,
    Fault("redis", "flush"): 2,
}
# A fault may hit what the one before has not recovered from.
PAUSES: Final = (0.5, 8.0)
RESTART_SECONDS: Final = 4.0


def storm(seed: int, minutes: float) -> list[Fault]:
    """Random faults that take about so long."""
    chance = random.Random(seed)  # noqa: S311  repeatable, not secret
    kinds, weights = list(WEATHER), list(WEATHER.values())
    many = int(minutes * 60 / PAUSES[0]) + 1
    faults = [
        Fault(kind.target, kind.act, seconds=kind.seconds, pause=chance.uniform(*PAUSES))
        for kind in chance.choices(kinds, weights, k=many)
    ]
    ends = accumulate(fault.pause + fault.seconds + RESTART_SECONDS for fault in faults)
    return [fault for fault, end in zip(faults, ends, strict=True) if end <= minutes * 60]


@pytest.mark.slow
@pytest.mark.storm
@pytest.mark.fault(90)
@pytest.mark.timeout(MINUTES * 60 * 3 + 300)
async def test_a_random_storm_loses_and_doubles_nothing(
    system: System, client: CarefulClient, tell: Tell, tmp_path: Path
) -> None:
    trial = Trial(
        what=f"storm of {MINUTES:g} minutes, seed {SEED}",
        wishes=Wishes(seed=SEED, rate=RATE, gateways=2),
        faults=storm(SEED, MINUTES),
        drain_seconds=DRAIN_SECONDS,
    )

    summary = await run_trial(system, client, trial, tmp_path)

    tell(summary)
    assert summary.accepted > RATE * MINUTES * 60 / 2
    assert summary.violations == {}
