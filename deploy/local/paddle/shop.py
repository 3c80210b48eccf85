"""The whole stand-in without its doors."""

from collections.abc import Mapping
from typing import Self

import msgspec

from deploy.local.paddle.catalogue import Catalogue
from deploy.local.paddle.people import People
from deploy.local.paddle.refusals import Refused
from deploy.local.paddle.sales import Sales
from deploy.local.paddle.store import Store, Thing
from deploy.local.paddle.subscriptions import Subscriptions
from deploy.local.paddle.telling import Teller
from libs.common.contracts.plans import PlanName


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """`base_url`: where its pages are."""

    store: Store
    teller: Teller
    catalogue: Catalogue
    people: People
    sales: Sales
    subscriptions: Subscriptions
    base_url: str

    @classmethod
    def open(cls, store: Store, prices: Mapping[str, PlanName], base_url: str) -> Self:
        """Over what is stored."""
        teller, catalogue = Teller(store), Catalogue(prices)
        people = People(store, teller)
        sales = Sales(store, teller, catalogue, people)
        return cls(
            store=store,
            teller=teller,
            catalogue=catalogue,
            people=people,
            sales=sales,
            subscriptions=Subscriptions(store, teller, catalogue, sales),
            base_url=base_url,
        )

    def transaction(self, transaction_id: str) -> Thing:
        """One. Raises Refused."""
        found = self.store.find("transaction", transaction_id)
        if found is None:
            raise Refused.not_found(transaction_id)
        return found

    def subscriptions_of(self, customer_id: str) -> list[Thing]:
        """Newest first."""
        every = self.store.all("subscription")
        return [one for one in every if one["customer_id"] == customer_id]

    def transactions_of(self, customer_id: str) -> list[Thing]:
        """Those that were billed, newest first."""
        every = self.store.all("transaction")
        return [one for one in every if one["customer_id"] == customer_id and one["billed_at"]]

    def pay(self, transaction: Thing) -> None:
        """At the checkout. Raises Refused."""
        must_be_open(transaction)
        self.subscriptions.start(transaction)

    def decline(self, transaction: Thing) -> None:
        """At the checkout. Raises Refused."""
        must_be_open(transaction)
        with self.store.change():
            self.sales.decline(transaction, is_past_due=False)

    def refund(self, transaction: Thing) -> None:
        """All of it. Raises Refused."""
        if transaction["status"] != "completed":
            raise Refused(400, "transaction_not_completed", "it is not completed")
        with self.store.change():
            amount = int(transaction["details"]["totals"]["total"])
            self.sales.give_back(transaction, amount, "refund")


def must_be_open(transaction: Thing) -> None:
    """Raises Refused once it is paid or over."""
    if transaction["status"] not in {"draft", "ready"}:
        raise Refused(400, "transaction_immutable", "the transaction is not open any more")
