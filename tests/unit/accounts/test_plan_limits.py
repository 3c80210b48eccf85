"""What plans allow, and what is left of it for a project."""

from datetime import timedelta

import pytest

from libs.common.contracts.accounts import Limits
from libs.common.contracts.plans import PLANS, PlanName
from services.accounts.domain.plans import ProjectLimits, effective


def test_free_is_small_and_operators_meet_no_limit() -> None:
    assert PLANS[PlanName.FREE].limits == Limits(
        requests_per_minute=60,
        pending=100,
        requests_per_month=1_000,
        running=4,
        body_bytes=2_097_152,
    )
    assert PLANS[PlanName.FREE].retention == timedelta(days=1)
    assert PLANS[PlanName.OPERATOR].limits.running == 2_048
    assert PLANS[PlanName.OPERATOR].retention == timedelta(days=30)


@pytest.mark.parametrize(
    ("plan", "a_minute", "pending", "a_month", "days"),
    [
        (PlanName.PRO, 600, 5_000, 100_000, 14),
        (PlanName.SCALE, 6_000, 100_000, 2_000_000, 30),
    ],
)
def test_what_is_sold_allows_what_the_price_list_says(
    plan: PlanName, a_minute: int, pending: int, a_month: int, days: int
) -> None:
    limits = PLANS[plan].limits

    assert (limits.requests_per_minute, limits.pending) == (a_minute, pending)
    assert limits.requests_per_month == a_month
    assert PLANS[plan].retention == timedelta(days=days)


@pytest.mark.parametrize(
    ("own", "requests_per_minute", "running", "retention"),
    [
        (ProjectLimits(), 60, 4, timedelta(days=1)),
        (ProjectLimits(requests_per_minute=10), 10, 4, timedelta(days=1)),
        (ProjectLimits(requests_per_minute=61, running=5), 60, 4, timedelta(days=1)),
        (ProjectLimits(running=1, retention_seconds=60), 60, 1, timedelta(minutes=1)),
        (ProjectLimits(retention_seconds=86_401), 60, 4, timedelta(days=1)),
    ],
)
def test_a_project_may_have_less_and_never_more(
    own: ProjectLimits, requests_per_minute: int, running: int, retention: timedelta
) -> None:
    allowed = effective(PLANS[PlanName.FREE], own)

    assert allowed.limits.requests_per_minute == requests_per_minute
    assert allowed.limits.running == running
    assert allowed.retention == retention
    assert allowed.limits.pending == 100


@pytest.mark.parametrize(
    ("own", "days"),
    [
        (ProjectLimits(), 7),
        (ProjectLimits(metadata_seconds=3 * 86_400), 3),
        (ProjectLimits(metadata_seconds=30 * 86_400), 7),
        (ProjectLimits(metadata_seconds=60), 1),
    ],
)
def test_records_are_kept_as_the_project_wishes_within_its_plan_and_no_less_than_bodies(
    own: ProjectLimits, days: int
) -> None:
    assert effective(PLANS[PlanName.FREE], own).metadata == timedelta(days=days)
