"""What a subscription gives, until when, and what that makes of an account's plan.

Everything here is a function of what Paddle told and of the time, so that events in any order end
in the same plan.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from libs.common.contracts.billing import GRACE
from libs.common.contracts.plans import PlanName

NEVER: Final = datetime.max.replace(tzinfo=UTC)
_PAST: Final = datetime.min.replace(tzinfo=UTC)

Gives = Literal["plan", "plan in grace", "plan until canceled_at", "nothing"]


class Rule(msgspec.Struct, frozen=True):
    """Of one state. `gives`: until a scheduled change. `next`: what Paddle lets follow."""

    gives: Gives
    next: frozenset[str]
    why: str


_LIVING: Final = ("trialing", "active", "past_due", "paused")

STATES: Final[dict[str, Rule]] = {
    "trialing": Rule(
        "plan",
        frozenset({"active", "past_due", "paused", "canceled"}),
        "a trial is to try the plan, not a part of it",
    ),
    "active": Rule(
        "plan",
        frozenset({"trialing", "past_due", "paused", "canceled"}),
        "it is paid for; a scheduled cancel or pause takes it away at its moment and not before",
    ),
    "past_due": Rule(
        "plan in grace",
        frozenset({"active", "paused", "canceled"}),
        "a card that expired is no reason to stop somebody's work on the spot",
    ),
    "paused": Rule(
        "nothing",
        frozenset({"active", "trialing", "past_due", "canceled"}),
        "nothing is paid meanwhile; that it resumes is known when Paddle says so: it may not",
    ),
    "canceled": Rule(
        "plan until canceled_at",
        frozenset(),
        "Paddle says it when it is over; at the end of the period is a scheduled change before",
    ),
}
"""The state machine. What is not in it gives nothing. `""` stands before the first state."""

FIRST: Final = frozenset({*_LIVING, "canceled"})


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription. `plan`: of its prices; None where none is known here.

    `past_due_at`: since when without a break. `change`, `changes_at`: what is scheduled.
    """

    id: str
    state: str
    plan: PlanName | None
    started_at: datetime | None = None
    past_due_at: datetime | None = None
    change: str | None = None
    changes_at: datetime | None = None
    canceled_at: datetime | None = None

    @property
    def is_living(self) -> bool:
        """Not over; it may give nothing all the same."""
        return self.state in _LIVING


class Standing(msgspec.Struct, frozen=True):
    """An account's plan now. `best`: the subscription that counts. `due_at`: look again then."""

    plan: PlanName
    anchor_day: int
    best: str | None
    due_at: datetime | None


class Move(msgspec.Struct, frozen=True):
    """In which state an event found a subscription."""

    state: str
    occurred_at: datetime


_RANK: Final = {
    PlanName.FREE: 0,
    PlanName.PRO: 1,
    PlanName.SCALE: 2,
    PlanName.OPERATOR: 3,
}


def larger(one: PlanName, other: PlanName) -> PlanName:
    """Which of two plans allows more."""
    return max(one, other, key=_RANK.__getitem__)


def best_plan(plans: Iterable[PlanName | None]) -> PlanName | None:
    """The largest of those that are known."""
    return max((plan for plan in plans if plan), key=_RANK.__getitem__, default=None)


def can_follow(old: str | None, new: str) -> bool:
    """Whether Paddle's documentation lets `new` come after `old`. It is believed all the same."""
    return new in FIRST if old is None else new == old or new in _rule(old).next


def gives_until(bought: Bought) -> datetime:
    """The moment at which it stops to give its plan, by what is known; NEVER, or long past."""
    end = {
        "plan": NEVER,
        "plan in grace": grace_ends_at(bought) or _PAST,
        "plan until canceled_at": bought.canceled_at or _PAST,
        "nothing": _PAST,
    }[_rule(bought.state).gives]
    if bought.change in {"cancel", "pause"} and bought.changes_at is not None:
        return min(end, bought.changes_at)
    return end


def grace_ends_at(bought: Bought) -> datetime | None:
    """Until when an unpaid subscription gives its plan; None where it is not unpaid."""
    if bought.state != "past_due" or bought.past_due_at is None:
        return None
    return bought.past_due_at + GRACE


def past_due_at(moves: Sequence[Move]) -> datetime | None:
    """When the run of past_due at the end of `moves` (oldest first) began; None without one."""
    began = None
    for move in reversed(moves):
        if move.state != "past_due":
            break
        began = move.occurred_at
    return began


def stand(granted: PlanName, all_bought: Sequence[Bought], now: datetime) -> Standing:
    """The larger of what is granted and what is bought; of equals, what lasts longer."""
    giving = [bought for bought in all_bought if bought.plan and now < gives_until(bought)]
    best = max(giving, key=_worth, default=None)
    ends = [end for bought in giving if (end := gives_until(bought)) != NEVER]
    plan = larger(granted, best.plan) if best and best.plan else granted
    return Standing(
        plan, anchor_day(all_bought), best.id if best else None, min(ends, default=None)
    )


def anchor_day(all_bought: Iterable[Bought]) -> int:
    """The UTC day on which the latest one began; it stays when that ends. 1 without one."""
    begun = [bought.started_at for bought in all_bought if bought.started_at is not None]
    return max(begun).astimezone(UTC).day if begun else 1


def _rule(state: str) -> Rule:
    return STATES.get(state, _UNKNOWN)


_UNKNOWN: Final = Rule("nothing", FIRST, "a state that Paddle's documentation did not name")


def _worth(bought: Bought) -> tuple[int, datetime, str]:
    return (_RANK[bought.plan] if bought.plan else -1, gives_until(bought), bought.id)
