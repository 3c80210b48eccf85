"""Transactions and adjustments: what is to be paid, was paid, was not, and was given back."""

from typing import Any, Final

from deploy.local.paddle import shapes
from deploy.local.paddle.catalogue import Catalogue
from deploy.local.paddle.people import People
from deploy.local.paddle.refusals import Refused
from deploy.local.paddle.shapes import CURRENCY, stamp
from deploy.local.paddle.store import Store, Thing
from deploy.local.paddle.telling import Teller
from libs.common.ids import new_id

Line = tuple[str, int]
"""A price's id, and what it costs this time, in cents before tax."""

_COPIED: Final = ("customer_id", "address_id", "business_id", "custom_data")


class Sales:
    """Within a change of the store's."""

    def __init__(self, store: Store, teller: Teller, catalogue: Catalogue, people: People) -> None:
        """Over all of them."""
        self._store, self._teller = store, teller
        self._catalogue, self._people = catalogue, people

    def create(self, body: Thing, base_url: str) -> Thing:
        """To be paid at a checkout. Raises Refused."""
        price_ids = [item["price_id"] for item in body.get("items", [])]
        if not price_ids:
            raise Refused.invalid(items="must have at least one item")
        buyer = {name: body.get(name) for name in _COPIED}
        for kind in ("customer", "address", "business"):
            thing_id = buyer[f"{kind}_id"]
            if thing_id is not None:
                self._people.get(kind, thing_id)
        lines = [(price_id, self._catalogue.amount(price_id)) for price_id in price_ids]
        transaction = self._new("api", lines, buyer)
        page = (body.get("checkout") or {}).get("url") or f"{base_url}/checkout"
        mark = "&" if "?" in page else "?"
        transaction["checkout"] = {"url": f"{page}{mark}_ptxn={transaction['id']}"}
        transaction["status"] = "ready" if buyer["address_id"] else "draft"
        with self._store.change():
            self._save(transaction, "transaction.created")
        return transaction

    def address_to(self, transaction: Thing, address_id: str, business_id: str | None) -> None:
        """What was said at the checkout: the tax follows from it."""
        transaction |= {"address_id": address_id, "business_id": business_id, "status": "ready"}
        items = transaction["items"]
        lines = [(one["price"]["id"], int(one["price"]["unit_price"]["amount"])) for one in items]
        transaction["details"] = self.details(lines, transaction)
        with self._store.change():
            self._save(transaction, "transaction.updated")

    def of_subscription(self, subscription: Thing, origin: str, lines: list[Line]) -> Thing:
        """Billed to a subscription; not saved."""
        buyer = {name: subscription[name] for name in _COPIED}
        transaction = self._new(origin, lines, buyer)
        transaction["subscription_id"] = subscription["id"]
        transaction["billing_period"] = subscription["current_billing_period"]
        return transaction

    def pay(self, transaction: Thing, subscription: Thing | None = None) -> None:
        """Tells of it in two steps, as Paddle does."""
        now = self._store.now()
        amount = transaction["details"]["totals"]["total"]
        paid = shapes.payment(new_id("pay"), amount, stamp(now), is_good=True)
        transaction["payments"] = [paid, *transaction["payments"]]
        transaction["billed_at"] = transaction["billed_at"] or stamp(now)
        transaction["details"]["totals"]["balance"] = "0"
        transaction["status"] = "paid"
        if subscription is not None:
            transaction["subscription_id"] = subscription["id"]
            transaction["billing_period"] = subscription["current_billing_period"]
        self._save(transaction, "transaction.paid")
        number = 1 + sum(
            one["invoice_number"] is not None for one in self._store.all("transaction")
        )
        transaction["invoice_id"] = new_id("inv")
        transaction["invoice_number"] = f"000-{number:05d}"
        transaction["status"] = "completed"
        self._save(transaction, "transaction.completed")

    def decline(self, transaction: Thing, *, is_past_due: bool) -> None:
        """A card that was refused. `is_past_due`: of a subscription that renews."""
        now = stamp(self._store.now())
        amount = transaction["details"]["totals"]["total"]
        failed = shapes.payment(new_id("pay"), amount, now, is_good=False)
        transaction["payments"] = [failed, *transaction["payments"]]
        self._save(transaction, "transaction.payment_failed")
        if is_past_due:
            transaction["billed_at"] = transaction["billed_at"] or now
            transaction["status"] = "past_due"
            self._save(transaction, "transaction.past_due")

    def drop(self, transaction: Thing) -> None:
        """Nobody will pay it any more."""
        transaction["status"] = "canceled"
        self._save(transaction, "transaction.canceled")

    def give_back(self, transaction: Thing, amount: int, action: str) -> Thing:
        """`action`: refund or credit, of cents with tax; approved at once."""
        now = stamp(self._store.now())
        totals = {
            "subtotal": str(amount), "tax": "0", "total": str(amount), "fee": "0",
            "earnings": str(amount), "retained_fee": "0", "currency_code": CURRENCY,
        }  # fmt: skip
        line = transaction["details"]["line_items"][0]
        item_totals = {name: totals[name] for name in ("subtotal", "tax", "total")}
        item = {
            "id": new_id("adjitm"), "item_id": line["id"], "type": "partial",
            "amount": str(amount), "proration": None, "totals": item_totals,
        }  # fmt: skip
        adjustment: Thing = {
            "id": new_id("adj"), "action": action, "type": "partial",
            "transaction_id": transaction["id"],
            "subscription_id": transaction["subscription_id"],
            "customer_id": transaction["customer_id"],
            "reason": "made up", "credit_applied_to_balance": None, "currency_code": CURRENCY,
            "status": "approved", "items": [item], "totals": totals, "payout_totals": None,
            "tax_rates_used": [], "created_at": now, "updated_at": now,
        }  # fmt: skip
        self._store.put("adjustment", adjustment)
        self._teller.tell("adjustment.created", adjustment)
        return adjustment

    def percent(self, buyer: Thing) -> int:
        """Of tax, for who buys."""
        address = self._store.find("address", buyer["address_id"] or "")
        return shapes.tax_percent(address, self._store.find("business", buyer["business_id"] or ""))

    def details(self, lines: list[Line], buyer: Thing) -> Thing:
        """What these lines cost this buyer."""
        priced = [
            (self._catalogue.price(price_id), self._catalogue.product(price_id), amount)
            for price_id, amount in lines
        ]
        return shapes.details(priced, self.percent(buyer), paid=False)

    def save_new(self, transaction: Thing) -> None:
        """Told as made and billed."""
        self._save(transaction, "transaction.created")
        transaction["billed_at"] = stamp(self._store.now())
        transaction["status"] = "billed"
        self._save(transaction, "transaction.billed")

    def _new(self, origin: str, lines: list[Line], buyer: Thing) -> Thing:
        now = stamp(self._store.now())
        items = [
            {"price": self._catalogue.price(price_id), "quantity": 1, "proration": None}
            for price_id, _ in lines
        ]
        transaction: dict[str, Any] = {
            "id": new_id("txn"), "status": "draft", **buyer,
            "currency_code": CURRENCY, "origin": origin, "subscription_id": None,
            "invoice_id": None, "invoice_number": None, "collection_mode": "automatic",
            "discount_id": None, "billing_details": None, "billing_period": None,
            "items": items, "details": self.details(lines, buyer), "payments": [],
            "checkout": None, "created_at": now, "updated_at": now, "billed_at": None,
            "revised_at": None,
        }  # fmt: skip
        return transaction

    def _save(self, transaction: Thing, event_type: str) -> None:
        transaction["updated_at"] = stamp(self._store.now())
        self._store.put("transaction", transaction)
        self._teller.tell(event_type, transaction)
