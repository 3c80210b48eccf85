"""The catalogue of plans: what each allows. Data, read by who sells and by who enforces.

Accounts keep a copy of their plan's numbers, so that a change here touches nobody silently. Prices
are the payment provider's (services/billing).
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

from libs.common.contracts.accounts import Limits

_MEBIBYTE: Final = 1024 * 1024


class PlanName(StrEnum):
    """`operator`: who runs the installation, and everybody where nothing is sold."""

    OPERATOR = "operator"
    FREE = "free"
    PRO = "pro"
    SCALE = "scale"


SOLD: Final = (PlanName.PRO, PlanName.SCALE)
"""The plans that money buys, the smaller one first."""


class Plan(msgspec.Struct, frozen=True):
    """Limits of an account, and of everything else that it has.

    `retention`: of bodies. `metadata`: of records of requests. `projects`: how many at once; those
    above that stay.
    """

    limits: Limits
    retention: timedelta
    metadata: timedelta
    projects: int


PLANS: Final[dict[PlanName, Plan]] = {
    PlanName.OPERATOR: Plan(
        Limits(
            requests_per_minute=1_000_000,
            pending=1_000_000,
            requests_per_month=1_000_000_000,
            running=2_048,
            body_bytes=2 * _MEBIBYTE,
        ),
        retention=timedelta(days=30),
        metadata=timedelta(days=30),
        projects=10_000,
    ),
    PlanName.FREE: Plan(
        Limits(
            requests_per_minute=60,
            pending=100,
            requests_per_month=1_000,
            running=4,
            body_bytes=2 * _MEBIBYTE,
        ),
        retention=timedelta(days=1),
        metadata=timedelta(days=7),
        projects=1,
    ),
    PlanName.PRO: Plan(
        Limits(
            requests_per_minute=600,
            pending=5_000,
            requests_per_month=100_000,
            running=64,
            body_bytes=2 * _MEBIBYTE,
        ),
        retention=timedelta(days=14),
        metadata=timedelta(days=30),
        projects=10,
    ),
    PlanName.SCALE: Plan(
        Limits(
            requests_per_minute=6_000,
            pending=100_000,
            requests_per_month=2_000_000,
            running=512,
            body_bytes=2 * _MEBIBYTE,
        ),
        retention=timedelta(days=30),
        metadata=timedelta(days=90),
        projects=100,
    ),
}
