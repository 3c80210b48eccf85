"""Subscriptions: bought, renewed, changed, not paid, cancelled; and a month that passes at once."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from deploy.local.paddle.catalogue import Catalogue
from deploy.local.paddle.refusals import Refused
from deploy.local.paddle.sales import Line, Sales
from deploy.local.paddle.shapes import CURRENCY, stamp
from deploy.local.paddle.store import Store, Thing
from deploy.local.paddle.telling import Teller
from libs.common.ids import new_id
from libs.common.periods import next_period

_ENDED: Final = "canceled"


class Subscriptions:
    """Everything raises Refused for what is not possible."""

    def __init__(self, store: Store, teller: Teller, catalogue: Catalogue, sales: Sales) -> None:
        """Over all of them."""
        self._store, self._teller = store, teller
        self._catalogue, self._sales = catalogue, sales

    def get(self, subscription_id: str) -> Thing:
        """One."""
        found = self._store.find("subscription", subscription_id)
        if found is None:
            raise Refused.not_found(subscription_id)
        return found

    def start(self, transaction: Thing) -> Thing:
        """A checkout was paid for: from now on, month by month."""
        now = self._store.now()
        period = _period(now, now.day)
        buyer = {
            name: transaction[name]
            for name in ("customer_id", "address_id", "business_id", "custom_data")
        }
        subscription: Thing = {
            "id": new_id("sub"), "status": "active", **buyer, "currency_code": CURRENCY,
            "created_at": stamp(now), "updated_at": stamp(now), "started_at": stamp(now),
            "first_billed_at": stamp(now), "next_billed_at": period["ends_at"],
            "paused_at": None, "canceled_at": None, "discount": None,
            "collection_mode": "automatic", "billing_details": None,
            "current_billing_period": period,
            "billing_cycle": {"interval": "month", "frequency": 1}, "scheduled_change": None,
            "items": [], "import_meta": None, "consent_requirements": [],
        }  # fmt: skip
        self._set_price(subscription, transaction["items"][0]["price"]["id"])
        with self._store.change():
            self._sales.pay(transaction, subscription)
            created = {**subscription, "transaction_id": transaction["id"]}
            self._store.put("subscription", subscription)
            self._teller.tell("subscription.created", created)
            self._save(subscription, "subscription.activated")
        return subscription

    def next_period(self, subscription: Thing) -> None:
        """The paid time ends now: it ends, pauses, or renews, if the card is good."""
        self._must_not_be(subscription, _ENDED, "paused")
        change = subscription["scheduled_change"]
        with self._store.change():
            if change is not None and change["action"] == "cancel":
                self._end(subscription)
            elif change is not None:
                self._pause(subscription)
            else:
                self._renew(subscription)

    def cancel(self, subscription: Thing, *, at_once: bool) -> None:
        """Now, or when the paid time ends."""
        self._must_not_be(subscription, _ENDED, code="subscription_is_canceled_action_invalid")
        self._schedule(subscription, "cancel", self._end, at_once=at_once)

    def pause(self, subscription: Thing, *, at_once: bool) -> None:
        """Now, or when the paid time ends."""
        self._must_not_be(subscription, _ENDED, "paused")
        self._schedule(subscription, "pause", self._pause, at_once=at_once)

    def resume(self, subscription: Thing) -> None:
        """A new paid time begins."""
        if subscription["status"] != "paused":
            raise Refused(400, "subscription_not_paused", "action requires it to be paused")
        with self._store.change():
            subscription["status"], subscription["paused_at"] = "active", None
            self._begin_period(subscription)
            self._bill(subscription, "subscription_recurring", self._lines(subscription))
            self._save(subscription, "subscription.resumed")

    def keep(self, subscription: Thing) -> None:
        """What was scheduled does not happen."""
        self._must_not_be(subscription, _ENDED, code="subscription_update_when_canceled")
        with self._store.change():
            subscription["scheduled_change"] = None
            self._save(subscription, "subscription.updated")

    def recover(self, subscription: Thing) -> None:
        """A payment that failed is made."""
        with self._store.change():
            for transaction in self._open(subscription):
                self._sales.pay(transaction, subscription)
            subscription["status"] = "active"
            self._wish(subscription, fails=False)
            self._save(subscription, "subscription.updated")

    def change(self, subscription: Thing, body: Thing) -> None:
        """What a PATCH asks for."""
        self._must_not_be(subscription, _ENDED, code="subscription_update_when_canceled")
        if "scheduled_change" in body:
            self.keep(subscription)
        with self._store.change():
            for name in ("address_id", "business_id", "custom_data"):
                subscription[name] = body.get(name, subscription[name])
            if "items" in body:
                self._change_price(subscription, body)
            self._save(subscription, "subscription.updated")

    def preview(self, subscription: Thing, body: Thing) -> Thing:
        """What a PATCH would lead to; changes nothing."""
        self._must_not_be(subscription, _ENDED, code="subscription_update_when_canceled")
        price_id = _price_of(body) or self.price_id(subscription)
        credit, charge = self._proration(subscription, price_id)
        changed = {**subscription}
        self._set_price(changed, price_id)
        result = {"action": "charge" if charge >= credit else "credit"}
        whole = self._sales.details([(price_id, self._catalogue.amount(price_id))], subscription)
        return {
            **changed, "management_urls": None, "immediate_transaction": None,
            "next_transaction": None, "recurring_transaction_details": whole,
            "update_summary": {
                "credit": _money(credit), "charge": _money(charge),
                "result": {**result, **_money(abs(charge - credit))},
            },
        }  # fmt: skip

    def wish(self, subscription: Thing, *, fails: bool) -> None:
        """Whether the next payment fails."""
        with self._store.change():
            self._wish(subscription, fails=fails)

    def will_fail(self, subscription: Thing) -> bool:
        """Whether the next payment fails."""
        wish = self._store.find("wish", f"wish_{subscription['id']}")
        return wish is not None and bool(wish["fails"])

    def price_id(self, subscription: Thing) -> str:
        """What is bought."""
        return str(subscription["items"][0]["price"]["id"])

    def _renew(self, subscription: Thing) -> None:
        self._begin_period(subscription)
        origin, lines = "subscription_recurring", self._lines(subscription)
        transaction = self._sales.of_subscription(subscription, origin, lines)
        self._sales.save_new(transaction)
        if self.will_fail(subscription):
            subscription["status"] = "past_due"
            self._sales.decline(transaction, is_past_due=True)
            self._save(subscription, "subscription.past_due")
        else:
            self._sales.pay(transaction, subscription)
            self._save(subscription, "subscription.updated")

    def _change_price(self, subscription: Thing, body: Thing) -> None:
        price_id = _price_of(body)
        if price_id is None or price_id == self.price_id(subscription):
            return
        if subscription["status"] == "past_due":
            raise Refused(400, "subscription_update_when_past_due", "subscription is past due")
        credit, charge = self._proration(subscription, price_id)
        if charge > credit and self.will_fail(subscription):
            raise Refused(400, "subscription_payment_declined", "payment declined")
        self._set_price(subscription, price_id)
        if charge > credit:
            self._bill(subscription, "subscription_update", [(price_id, charge - credit)])
        elif credit > charge:
            self._give_back(subscription, credit - charge)

    def _bill(self, subscription: Thing, origin: str, lines: list[Line]) -> None:
        transaction = self._sales.of_subscription(subscription, origin, lines)
        self._sales.save_new(transaction)
        self._sales.pay(transaction, subscription)

    def _give_back(self, subscription: Thing, amount: int) -> None:
        every = self._store.all("transaction")
        paid = [
            one
            for one in every
            if one["subscription_id"] == subscription["id"] and one["status"] == "completed"
        ]
        if paid:
            self._sales.give_back(paid[0], amount, "credit")

    def _proration(self, subscription: Thing, price_id: str) -> tuple[int, int]:
        """Credit for what is not used of the old price, charge for that time at the new one."""
        period = subscription["current_billing_period"]
        begins, ends = (datetime.fromisoformat(period[name]) for name in ("starts_at", "ends_at"))
        left = max((ends - self._store.now()) / (ends - begins), 0.0)
        percent = 100 + self._sales.percent(subscription)
        old, new = self.price_id(subscription), price_id
        credit, charge = (self._catalogue.amount(one) * left * percent for one in (old, new))
        return round(credit / 100), round(charge / 100)

    def _schedule(
        self, subscription: Thing, action: str, do: Callable[[Thing], None], *, at_once: bool
    ) -> None:
        with self._store.change():
            if at_once:
                do(subscription)
                return
            effective_at = subscription["current_billing_period"]["ends_at"]
            change = {"action": action, "effective_at": effective_at, "resume_at": None}
            subscription["scheduled_change"] = change
            self._save(subscription, "subscription.updated")

    def _end(self, subscription: Thing) -> None:
        for transaction in self._open(subscription):
            self._sales.drop(transaction)
        self._stop(subscription, "canceled")

    def _pause(self, subscription: Thing) -> None:
        self._stop(subscription, "paused")

    def _stop(self, subscription: Thing, state: str) -> None:
        now = stamp(self._store.now())
        subscription |= {
            "status": state, f"{state}_at": now, "scheduled_change": None,
            "next_billed_at": None, "current_billing_period": None,
        }  # fmt: skip
        self._save(subscription, f"subscription.{state}")

    def _begin_period(self, subscription: Thing) -> None:
        now = self._store.now()
        anchor = datetime.fromisoformat(subscription["started_at"]).day
        subscription["current_billing_period"] = _period(now, anchor)
        subscription["next_billed_at"] = subscription["current_billing_period"]["ends_at"]

    def _set_price(self, subscription: Thing, price_id: str) -> None:
        now = stamp(self._store.now())
        subscription["items"] = [
            {
                "status": "active", "quantity": 1, "recurring": True, "created_at": now,
                "updated_at": now, "previously_billed_at": now,
                "next_billed_at": subscription["next_billed_at"], "trial_dates": None,
                "price": self._catalogue.price(price_id),
                "product": self._catalogue.product(price_id),
            }
        ]  # fmt: skip

    def _lines(self, subscription: Thing) -> list[Line]:
        price_id = self.price_id(subscription)
        return [(price_id, self._catalogue.amount(price_id))]

    def _open(self, subscription: Thing) -> list[Thing]:
        every = self._store.all("transaction")
        mine = (one for one in every if one["subscription_id"] == subscription["id"])
        return [one for one in mine if one["status"] == "past_due"]

    def _wish(self, subscription: Thing, *, fails: bool) -> None:
        self._store.put("wish", {"id": f"wish_{subscription['id']}", "fails": fails})

    def _save(self, subscription: Thing, event_type: str) -> None:
        subscription["updated_at"] = stamp(self._store.now())
        self._store.put("subscription", subscription)
        self._teller.tell(event_type, subscription)

    def _must_not_be(
        self, subscription: Thing, *states: str, code: str = "subscription_not_active"
    ) -> None:
        if subscription["status"] in states:
            raise Refused(400, code, f"subscription is {subscription['status']}")


def _period(begins: datetime, anchor_day: int) -> dict[str, Any]:
    """A month from `begins` on."""
    last = next_period(anchor_day, begins.date())
    ends = datetime.combine(last, begins.time(), UTC)
    return {"starts_at": stamp(begins), "ends_at": stamp(ends)}


def _price_of(body: Thing) -> str | None:
    items = body.get("items")
    return str(items[0]["price_id"]) if items else None


def _money(amount: int) -> dict[str, str]:
    return {"amount": str(amount), "currency_code": CURRENCY}
