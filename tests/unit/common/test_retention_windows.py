"""One file says how long things are kept; what others say elsewhere is the same."""

from datetime import timedelta

import pytest

from libs.common import outbox, retention
from libs.common.contracts.plans import PLANS, PlanName
from libs.ledger import accept, roll_up
from services.accounts.domain import tokens


def test_windows_that_others_name_too_are_the_same() -> None:
    assert tokens.SESSION_IDLE == retention.SESSION_IDLE
    assert tokens.SESSION_LIFE == retention.SESSION_LIFE
    assert outbox.KEPT == retention.OUTBOX
    assert roll_up.KEPT == retention.ROLLUPS
    assert accept.METADATA_RETENTION == retention.METADATA


def test_each_plan_keeps_records_as_long_as_it_says() -> None:
    days = {name: plan.metadata.days for name, plan in PLANS.items()}

    assert days == {
        PlanName.OPERATOR: 30, PlanName.FREE: 7, PlanName.PRO: 30, PlanName.SCALE: 90
    }  # fmt: skip
    assert all(plan.metadata >= plan.retention for plan in PLANS.values())


@pytest.mark.parametrize("database", sorted(retention.DATABASES))
def test_every_entry_has_a_window_or_says_why_not(database: str) -> None:
    for table, kept in retention.DATABASES[database].items():
        assert kept.why, table
        assert kept.window is None or kept.window >= timedelta()


@pytest.mark.parametrize("database", sorted(retention.DATABASES))
def test_what_only_expires_is_gone_within_days_of_a_deletion(database: str) -> None:
    for table, kept in retention.DATABASES[database].items():
        if kept.erasure is retention.Erasure.EXPIRES:
            assert kept.window is not None, table
            assert kept.window <= timedelta(days=7), table
