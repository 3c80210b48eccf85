"""Histories of subscriptions as Paddle would tell them, and what each must end in.

A history is a walk through Paddle's states: sign-up, renewals, failed and repeated payments, other
plans, pauses, cancellation, refunds. Only the seed decides.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from libs.common.contracts.plans import PlanName
from tests.support import paddle_events as paddle
from tests.support.paddle_events import PRICES, PRO_MONTHLY, PRO_YEARLY, SCALE_MONTHLY, at

ENDS_AT = at(days=60)
"""When everything has been told, and all that is to come by the clock up to then has come."""

GRACE = timedelta(days=7)


class History(msgspec.Struct, kw_only=True):
    """One account's. `bodies`: webhooks in the order in which it happened."""

    account_id: str
    bodies: list[bytes]
    states: dict[str, str]
    failed: set[str]
    plan: PlanName
    is_over: bool


class Walk:
    """Makes one history."""

    def __init__(self, number: int, chance: Random) -> None:
        """Begins with who buys, and where."""
        self.number, self._chance = number, chance
        self._now = at(minutes=chance.randrange(5_000))
        self._count = self._bills = 0
        self.bodies: list[bytes] = []
        self.states: dict[str, str] = {}
        self.failed: set[str] = set()
        self.past_due_at: datetime | None = None
        self.subscription = paddle.subscription(number, chance.choice(["active", "trialing"]))
        self.subscription["started_at"] = paddle.event_time(self._now)
        if chance.random() < 0.2:
            self.subscription["custom_data"] = None  # then its transactions say whose it is
        self._tell("customer.created", paddle.customer(number))
        self._tell("address.created", paddle.address(number))
        self._tell_subscription("created")
        self._bill("completed")

    @property
    def status(self) -> str:
        """Of the subscription."""
        return str(self.subscription["status"])

    def steps(self, count: int) -> Iterator[None]:
        """Walk on until so many events are told, or nothing more can happen."""
        while len(self.bodies) < count:
            if self.status == "canceled":
                self._refund()
            else:
                self._chance.choice(_STEPS[self.status])(self)
            yield

    def renew(self) -> None:
        self._bill("ready", "billed", "paid", "completed")
        self._move("active", "updated")

    def fail(self) -> None:
        self._bill("ready", "payment_failed", "past_due")
        self._move("past_due", "updated", "past_due")

    def fail_again(self) -> None:
        self._bill("payment_failed", is_new=False)
        self._tell_subscription("updated")

    def recover(self) -> None:
        self._bill("paid", "completed", is_new=False)
        self._move("active", "updated", "activated")

    def schedule(self) -> None:
        action = self._chance.choice(["cancel", "pause"])
        ends_at = self._now + timedelta(days=self._chance.randrange(1, 40))
        self.subscription["scheduled_change"] = paddle.scheduled(action, ends_at)
        self._tell_subscription("updated")

    def unschedule(self) -> None:
        self.subscription["scheduled_change"] = None
        self._tell_subscription("updated")

    def change_plan(self) -> None:
        price = self._chance.choice([PRO_MONTHLY, PRO_YEARLY, SCALE_MONTHLY])
        self.subscription["items"] = paddle.subscription(1, price_id=price)["items"]
        self._tell_subscription("updated")

    def pause(self) -> None:
        self.subscription["scheduled_change"] = None
        self._move("paused", "updated", "paused")

    def resume(self) -> None:
        self._move("active", "updated", "resumed")

    def end(self) -> None:
        if self._chance.random() > 0.2:  # most go on
            return self.change_plan()
        self.subscription["scheduled_change"] = None
        self.subscription["canceled_at"] = paddle.event_time(self._now)
        return self._move("canceled", "updated", "canceled")

    def change_details(self) -> None:
        number = self.number
        email = f"new{self._count}-{number}@example.com"
        self._tell("customer.updated", paddle.customer(number, email=email))
        self._tell("address.updated", paddle.address(number, postal_code=str(self._count)))
        self._tell("business.updated", paddle.business(number, name=f"Firm {self._count}"))

    def _refund(self) -> None:
        thing = f"adj_{self.number:013d}{self._bills:013d}"
        of = self._transaction_id()
        for status in ("pending_approval", self._chance.choice(["approved", "rejected"])):
            refund = paddle.adjustment(self.number, "refund", status, id=thing, transaction_id=of)
            self._tell("adjustment.updated", refund)

    def _bill(self, *names: str, is_new: bool = True) -> None:
        self._bills += is_new
        for name in names:
            status = "ready" if name == "payment_failed" else name
            bill = paddle.transaction(self.number, status, id=self._transaction_id())
            if status == "ready":
                bill |= {"billed_at": None, "invoice_number": None}
            self._tell(f"transaction.{name}", bill)
            if name == "payment_failed":
                self.failed.add(bill["id"])

    def _transaction_id(self) -> str:
        return f"txn_{self.number:013d}{self._bills:013d}"

    def _move(self, status: str, *names: str) -> None:
        self.subscription["status"] = status
        if status != "past_due":
            self.past_due_at = None
        for name in names:
            self._tell_subscription(name)

    def _tell_subscription(self, name: str) -> None:
        self._tell(f"subscription.{name}", self.subscription)
        if self.status == "past_due" and self.past_due_at is None:
            self.past_due_at = self._now

    def _tell(self, event_type: str, data: dict[str, Any]) -> None:
        """A little later than before; now and then at the very same moment."""
        if self._chance.random() < 0.9:
            self._now += timedelta(minutes=self._chance.randrange(1, 2_000))
        self._now = min(self._now, ENDS_AT)
        self._count += 1
        # Of one moment the greater id is the later event.
        event_id = f"evt_{self.number:08d}_{self._count:06d}"
        self.bodies.append(paddle.event(event_type, data, self._now, event_id))
        self.states[data["id"]] = data["status"]

    def finish(self) -> History:
        """What it must end in."""
        return History(
            account_id=f"acc_{self.number}",
            bodies=self.bodies,
            states=self.states,
            failed=self.failed,
            plan=self._plan(),
            is_over=self.status == "canceled",
        )

    def _plan(self) -> PlanName:
        change = self.subscription["scheduled_change"]
        if change and change["effective_at"] <= paddle.event_time(ENDS_AT):
            return PlanName.FREE
        if self.past_due_at and self.past_due_at + GRACE <= ENDS_AT:
            return PlanName.FREE
        if self.status in {"paused", "canceled"}:
            return PlanName.FREE
        return PRICES[self.subscription["items"][0]["price"]["id"]]


_ALWAYS = [Walk.change_details, Walk.change_plan, Walk.end]
_STEPS = {
    "trialing": [Walk.renew, Walk.fail, Walk.schedule, Walk.unschedule, *_ALWAYS],
    "active": [Walk.renew, Walk.renew, Walk.fail, Walk.schedule, Walk.unschedule, Walk.pause,
               *_ALWAYS],
    "past_due": [Walk.fail_again, Walk.recover, Walk.recover, *_ALWAYS],
    "paused": [Walk.resume, Walk.resume, *_ALWAYS],
}  # fmt: skip


def histories(count: int, events: int, seed: int) -> list[History]:
    """Of accounts `acc_1` … `acc_<count>`, of about so many events each."""
    made = []
    for number in range(1, count + 1):
        walk = Walk(number, Random(f"{seed}/{number}"))  # noqa: S311  the same in every run
        for _ in walk.steps(events):
            pass
        made.append(walk.finish())
    return made
