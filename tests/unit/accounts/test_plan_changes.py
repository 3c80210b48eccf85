"""What another plan changes, and amounts and sums for people."""

from datetime import UTC, date, datetime

import pytest

from libs.common.contracts.billing import UsageAnswer, UsageLine
from libs.common.contracts.plans import PLANS, PlanName
from services.accounts.domain.money import amount_of
from services.accounts.domain.plan_changes import InUse, differences
from services.accounts.domain.usage import by_project_and_model, projected

FREE, PRO = PLANS[PlanName.FREE], PLANS[PlanName.PRO]


def test_the_same_plan_changes_nothing() -> None:
    assert differences(PRO, PRO, InUse(projects=20, requests=10**6)) == []


@pytest.mark.parametrize("projects", [0, 1, 9], ids=["none", "as many", "too many"])
def test_what_is_gained_one_way_is_lost_the_other(projects: int) -> None:
    used = InUse(projects=projects)
    up, down = differences(FREE, PRO, used), differences(PRO, FREE, used)

    assert all(one.is_gain for one in up)
    assert not any(one.is_gain for one in down)
    assert len(up) == len(down) == 7
    said = " ".join(one.text for one in down)
    assert ("all of them stay" in said) == (projects > 1)
    assert "all of them stay" not in " ".join(one.text for one in up)


def test_gains_come_before_losses() -> None:
    mixed = differences(PLANS[PlanName.OPERATOR], PLANS[PlanName.SCALE], InUse(projects=1))

    assert [one.is_gain for one in mixed] == sorted((one.is_gain for one in mixed), reverse=True)
    assert {one.is_gain for one in mixed} == {True, False}


def test_who_has_used_more_than_is_left_is_told() -> None:
    for used, is_told in ((999, False), (1_000, True)):
        text = differences(PRO, FREE, InUse(projects=1, requests=used))[0].text
        assert ("refused until the period ends" in text) is is_told


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123450, "EUR", "EUR 1,234.50"),
        (0, "USD", "USD 0.00"),
        (-150, "GBP", "GBP -1.50"),
        (5, "EUR", "EUR 0.05"),
        (2900, "JPY", "JPY 2,900"),
    ],
)
def test_an_amount_has_its_currencys_places(minor: int, currency: str, text: str) -> None:
    assert amount_of(minor, currency) == text


def line(project_id: str, model: str, completed: int, day: int = 1) -> UsageLine:
    return UsageLine(
        day=date(2026, 3, day),
        project_id=project_id,
        model=model,
        completed=completed,
        failed=1,
        cancelled=1,
        prompt_tokens=10,
        completion_tokens=5,
        total_tokens=15,
    )


def test_lines_are_added_up_the_most_used_first() -> None:
    lines = [line("a", "m", 1), line("b", "m", 5), line("a", "m", 2, day=2), line("a", "n", 0)]

    summed = [
        (project, model, total.requests, total.prompt_tokens)
        for project, model, total in by_project_and_model(lines)
    ]

    assert summed == [("a", "m", 7, 20), ("b", "m", 7, 10), ("a", "n", 2, 10)]


@pytest.mark.parametrize(
    ("day", "used", "wanted"),
    [(2, 500, None), (16, 500, 1000), (31, 30, 31), (16, 0, None)],
    ids=["too soon", "half", "the last day", "nothing"],
)
def test_what_it_comes_to_is_said_when_enough_is_known(
    day: int, used: int, wanted: int | None
) -> None:
    usage = UsageAnswer(
        period=date(2026, 3, 1), resets_on=date(2026, 3, 31), allowed=9, finished=used, lines=()
    )
    if day == 31:
        usage = UsageAnswer(
            period=date(2026, 3, 1), resets_on=date(2026, 4, 1), allowed=9, finished=used, lines=()
        )

    assert projected(usage, datetime(2026, 3, day, tzinfo=UTC)) == wanted
