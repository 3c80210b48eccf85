"""What each plan allows (control-plane page of the documentation, "Plans").

An account carries its own copy of these numbers, so that a change here touches nobody silently.
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


class Plan(msgspec.Struct, frozen=True):
    """Limits of an account, how long it keeps bodies, and records of requests (`metadata`)."""

    limits: Limits
    retention: timedelta
    metadata: timedelta


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
    ),
}

PROJECTS: Final = {
    PlanName.OPERATOR: 10_000,
    PlanName.FREE: 1,
    PlanName.PRO: 10,
    PlanName.SCALE: 100,
}
"""How many projects an account may have at once; those it has above that stay."""


class ProjectLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a project sets for itself; None follows the account."""

    requests_per_minute: int | None = None
    running: int | None = None
    retention_seconds: int | None = None
    metadata_seconds: int | None = None


def effective(plan: Plan, project: ProjectLimits) -> Plan:
    """What holds for a project: its own settings, never above its account's.

    Records are kept for as long as the bodies that belong to them, whatever is wished for.
    """
    of_account = plan.limits
    limits = Limits(
        requests_per_minute=_least(of_account.requests_per_minute, project.requests_per_minute),
        pending=of_account.pending,
        requests_per_month=of_account.requests_per_month,
        running=_least(of_account.running, project.running),
        body_bytes=of_account.body_bytes,
    )
    bodies = _least(int(plan.retention.total_seconds()), project.retention_seconds)
    records = _least(int(plan.metadata.total_seconds()), project.metadata_seconds)
    return Plan(limits, timedelta(seconds=bodies), timedelta(seconds=max(records, bodies)))


def _least(allowed: int, wished: int | None) -> int:
    return allowed if wished is None else min(allowed, wished)
