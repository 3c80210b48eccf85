"""What a project's own settings leave of its account's plan."""

from datetime import timedelta

import msgspec

from libs.common.contracts.accounts import Limits
from libs.common.contracts.plans import Plan


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
    return msgspec.structs.replace(
        plan,
        limits=limits,
        retention=timedelta(seconds=bodies),
        metadata=timedelta(seconds=max(records, bodies)),
    )


def _least(allowed: int, wished: int | None) -> int:
    return allowed if wished is None else min(allowed, wished)
