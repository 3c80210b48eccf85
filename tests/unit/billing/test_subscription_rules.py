"""The state machine of subscriptions: what each state gives, until when, and what may follow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.billing import GRACE
from libs.common.contracts.plans import PlanName
from services.billing.domain.subscriptions import (
    NEVER,
    STATES,
    Bought,
    Move,
    anchor_day,
    can_follow,
    gives_until,
    past_due_at,
    stand,
)

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
FREE, PRO, SCALE, OPERATOR = PlanName.FREE, PlanName.PRO, PlanName.SCALE, PlanName.OPERATOR


def moment(**after: float) -> datetime:
    return NOW + timedelta(**after)


def bought(state: str, plan: PlanName | None = PRO, **changes: Any) -> Bought:
    return Bought(id=changes.pop("id", "sub_1"), state=state, plan=plan, **changes)


@pytest.mark.parametrize(
    ("one", "until"),
    [
        (bought("trialing"), NEVER),
        (bought("active"), NEVER),
        (bought("active", change="cancel", changes_at=moment(days=3)), moment(days=3)),
        (bought("active", change="pause", changes_at=moment(days=3)), moment(days=3)),
        (bought("trialing", change="cancel", changes_at=moment(days=3)), moment(days=3)),
        (bought("past_due", past_due_at=moment(days=-1)), moment(days=6)),
        (
            bought(
                "past_due",
                past_due_at=moment(days=-1),
                change="cancel",
                changes_at=moment(days=2),
            ),
            moment(days=2),
        ),
        (bought("canceled", canceled_at=moment(days=-1)), moment(days=-1)),
    ],
    ids=[
        "trial", "active", "cancel", "pause", "trial to cancel", "grace", "grace, cancel", "over",
    ],
)  # fmt: skip
def test_a_state_gives_its_plan_until(one: Bought, until: datetime) -> None:
    assert gives_until(one) == until


@pytest.mark.parametrize(
    "one",
    [
        bought("paused"),
        bought("paused", change="resume", changes_at=moment(days=-1)),
        bought("canceled"),
        bought("inactive"),
        bought("something new"),
        bought("past_due"),
    ],
    ids=lambda one: f"{one.state} {one.change or ''}".strip(),
)
def test_gives_nothing(one: Bought) -> None:
    assert stand(FREE, [one], NOW).plan == FREE


@pytest.mark.parametrize(
    ("old", "new", "is_documented"),
    [
        (None, "active", True),
        (None, "trialing", True),
        ("trialing", "active", True),
        ("active", "active", True),
        ("active", "past_due", True),
        ("past_due", "active", True),
        ("past_due", "trialing", False),
        ("paused", "active", True),
        ("canceled", "canceled", True),
        ("canceled", "active", False),
        ("active", "inactive", False),
    ],
)
def test_what_may_follow(old: str | None, new: str, *, is_documented: bool) -> None:
    assert can_follow(old, new) == is_documented


def test_only_what_is_cancelled_has_no_way_on() -> None:
    assert [state for state, rule in STATES.items() if not rule.next] == ["canceled"]
    assert all(rule.next <= STATES.keys() for rule in STATES.values())
    assert all(rule.why for rule in STATES.values())


def test_grace_runs_from_the_first_of_the_last_run_of_unpaid_events() -> None:
    states = ["past_due", "active", "past_due", "past_due", "past_due"]
    moves = [Move(state, moment(days=day)) for day, state in enumerate(states)]

    assert past_due_at(moves) == moment(days=2)
    assert past_due_at(moves[:2]) is None
    assert past_due_at([]) is None


def test_the_end_of_the_grace_is_not_in_it() -> None:
    unpaid = bought("past_due", past_due_at=NOW)

    assert stand(FREE, [unpaid], NOW + GRACE - timedelta(microseconds=1)).plan == PRO
    assert stand(FREE, [unpaid], NOW + GRACE).plan == FREE


def test_of_two_the_better_counts_and_the_clock_is_set_for_the_first_that_ends() -> None:
    pro = bought("active", id="sub_1", change="cancel", changes_at=moment(days=1))
    scale = bought("past_due", SCALE, id="sub_2", past_due_at=NOW)

    standing = stand(FREE, [pro, scale], NOW)

    assert (standing.plan, standing.best, standing.due_at) == (SCALE, "sub_2", moment(days=1))


def test_of_two_alike_the_one_that_lasts_counts() -> None:
    ending = bought("active", id="sub_9", change="cancel", changes_at=moment(days=1))

    assert stand(FREE, [ending, bought("active", id="sub_1")], NOW).best == "sub_1"


def test_a_price_that_nobody_knows_gives_nothing() -> None:
    assert stand(FREE, [bought("active", None)], NOW).plan == FREE


def test_periods_are_anchored_on_the_latest_beginning_in_utc() -> None:
    west = datetime.fromisoformat("2026-01-30T23:00:00-05:00")

    assert anchor_day([]) == 1
    assert anchor_day([bought("canceled", started_at=west)]) == 31
    later = bought("canceled", started_at=moment())
    assert anchor_day([bought("active", started_at=west), later]) == 14


MOMENTS = st.integers(-20, 20).map(lambda days: moment(days=days))
ANY = st.builds(
    Bought,
    id=st.sampled_from(["sub_1", "sub_2", "sub_3"]),
    state=st.sampled_from([*STATES, "inactive"]),
    plan=st.sampled_from([None, PRO, SCALE]),
    started_at=st.none() | MOMENTS,
    past_due_at=st.none() | MOMENTS,
    change=st.sampled_from([None, "cancel", "pause", "resume"]),
    changes_at=st.none() | MOMENTS,
    canceled_at=st.none() | MOMENTS,
)
GRANTED = st.sampled_from(list(PlanName))
RANK = [FREE, PRO, SCALE, OPERATOR]


@given(GRANTED, st.lists(ANY, max_size=4), st.randoms(use_true_random=False))
def test_whatever_is_bought_the_granted_plan_is_the_floor_and_order_does_not_matter(
    granted: PlanName, all_bought: list[Bought], chance: Any
) -> None:
    standing = stand(granted, all_bought, NOW)
    shuffled = chance.sample(all_bought, len(all_bought))

    assert RANK.index(standing.plan) >= RANK.index(granted)
    again = stand(granted, shuffled, NOW)
    assert (again.plan, again.due_at, again.anchor_day) == (
        standing.plan, standing.due_at, standing.anchor_day,
    )  # fmt: skip


@given(GRANTED, st.lists(ANY, max_size=4))
def test_until_the_clock_is_due_nothing_changes_by_itself(
    granted: PlanName, all_bought: list[Bought]
) -> None:
    now = stand(granted, all_bought, NOW)
    until = now.due_at or moment(days=400)

    assert until > NOW
    assert stand(granted, all_bought, until - timedelta(microseconds=1)).plan == now.plan
