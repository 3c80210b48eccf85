"""The port to Paddle over HTTP."""

import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec

from libs.common.contracts.billing import Money
from libs.common.settings import Secret
from services.billing.adapters.paddle.asking import Body, path_to
from services.billing.adapters.paddle.calls import Call, Caller
from services.billing.adapters.paddle.customers import CustomersApi
from services.billing.adapters.paddle.shapes import (
    CheckoutShape,
    Data,
    EntityShape,
    Link,
    Page,
    PortalShape,
    PreviewShape,
    PriceShape,
    SubscriptionShape,
)
from services.billing.domain.paddle import (
    Costs,
    Entity,
    Family,
    Order,
    PaddleAway,
    PaddleRefused,
    Subscription,
)

PATIENCE: Final = timedelta(seconds=7)
"""Of one call, where a person waits."""

LISTING_SECONDS: Final = 120.0
"""Of one page, where nobody waits: Paddle lets an address ask 240 times a minute."""

_PRICE_SECONDS: Final = 1.0  # half of what accounts waits for a page

PRICES_KEPT: Final = timedelta(minutes=10)
PAGE: Final = "200"
_UNREADABLE: Final = "The payment provider's answer cannot be read."

_PATHS: Final[Mapping[Family, str]] = {
    "subscription": "/subscriptions",
    "transaction": "/transactions",
    "adjustment": "/adjustments",
}


class HttpPaddle(CustomersApi):
    """Paddle's API, sandbox or live: whichever the client's base URL names."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        key: Secret,
        checkout_url: str = "",
        patience: timedelta = PATIENCE,
    ) -> None:
        """`checkout_url`: the page with Paddle.js; empty: Paddle's default payment link."""
        super().__init__(Caller(client, key, patience))
        self._checkout_url = checkout_url
        self._prices: dict[str, tuple[float, Money]] = {}

    async def create_checkout(self, order: Order) -> str:
        """Repeated without fear: a transaction nobody pays costs nothing and ends by itself."""
        data = {"account_id": order.account_id, "return_url": order.return_url}
        body: Body = {
            "items": [{"price_id": order.price_id, "quantity": 1}],
            "collection_mode": "automatic",
            "custom_data": data,
        }
        if order.customer_id is not None:
            body["customer_id"] = order.customer_id
        if order.address_id is not None:  # Paddle takes a business only with an address
            body |= {"address_id": order.address_id, "business_id": order.business_id}
        if self._checkout_url:
            body["checkout"] = {"url": self._checkout_url}
        made = await self.post("/transactions", body, CheckoutShape, is_repeatable=True)
        if made.checkout is None or not made.checkout.url:
            raise PaddleRefused(
                "The payment provider has no checkout page for this installation.",
                reason="no_checkout_url",
            )
        return made.checkout.url

    async def open_portal(self, customer_id: str, subscription_ids: tuple[str, ...]) -> str:
        """Repeated without fear: a session nobody uses ends by itself."""
        path = path_to("customers", customer_id, "portal-sessions")
        body: Body = {"subscription_ids": list(subscription_ids)} if subscription_ids else {}
        session = await self.post(path, body, PortalShape, is_repeatable=True)
        return session.urls.general.overview

    async def get_subscription(self, subscription_id: str) -> Subscription:
        """As it is now."""
        path = path_to("subscriptions", subscription_id)
        return (await self.get(path, SubscriptionShape)).read()

    async def preview_price(self, subscription_id: str, price_id: str) -> Costs:
        """Changes nothing."""
        path = path_to("subscriptions", subscription_id, "preview")
        return (await self.patch(path, _change(price_id), PreviewShape)).read()

    async def change_price(self, subscription_id: str, price_id: str) -> None:
        """Never repeated by itself, since it may charge: without an answer, Paddle is looked at."""
        path = path_to("subscriptions", subscription_id)
        try:
            await self.patch(path, _change(price_id), SubscriptionShape, is_repeatable=False)
        except PaddleAway:
            if price_id not in (await self.get_subscription(subscription_id)).price_ids:
                raise

    async def bill_to(self, subscription_id: str, address_id: str, business_id: str | None) -> None:
        """A second time changes nothing."""
        body: Body = {"address_id": address_id, "business_id": business_id}
        await self.patch(path_to("subscriptions", subscription_id), body, SubscriptionShape)

    async def cancel(self, subscription_id: str, *, at_once: bool = False) -> None:
        """Repeated: one that has ended, or that will, is left as it is."""
        path = path_to("subscriptions", subscription_id, "cancel")
        body = {"effective_from": "immediately" if at_once else "next_billing_period"}
        try:
            await self.post(path, body, SubscriptionShape, is_repeatable=True)
        except PaddleRefused as refused:
            now = await self._as_it_is(subscription_id, refused)
            if now.state != "canceled" and (at_once or now.change != "cancel"):
                raise

    async def keep(self, subscription_id: str) -> None:
        """A second time changes nothing."""
        path = path_to("subscriptions", subscription_id)
        await self.patch(path, {"scheduled_change": None}, SubscriptionShape)

    async def invoice_pdf(self, transaction_id: str) -> str | None:
        """Made by Paddle only of what was billed."""
        path = path_to("transactions", transaction_id, "invoice")
        try:
            return (await self.get(path, Link)).url
        except PaddleRefused as refused:
            if refused.reason == "not_found" or refused.reason.startswith("transaction_"):
                return None
            raise

    async def price(self, price_id: str) -> Money:
        """Asked at most every ten minutes; while Paddle is away, what it said last."""
        now = time.monotonic()
        kept = self._prices.get(price_id)
        if kept is None or now - kept[0] > PRICES_KEPT.total_seconds():
            call = Call(method="GET", path=path_to("prices", price_id))
            try:
                read = await self.caller.ask(call, Data[PriceShape], patience=_PRICE_SECONDS)
            except PaddleAway:
                if kept is None:
                    raise
                return kept[1]
            kept = self._prices[price_id] = (now, read.data.unit_price.read())
        return kept[1]

    async def find_entity(self, family: Family, entity_id: str) -> Entity | None:
        """By the list, since adjustments have no path of their own."""
        call = Call(method="GET", path=_PATHS[family], params={"id": entity_id})
        page = await self.caller.ask(call, Page[msgspec.Raw], patience=LISTING_SECONDS)
        return next((_entity(family, raw) for raw in page.data), None)

    async def list_all(
        self, family: Family, *, since: datetime | None = None
    ) -> AsyncIterator[Entity]:
        """Page by page; adjustments have no time to ask by and come newest first."""
        params = {"per_page": PAGE, "order_by": "id[DESC]"}
        if since is not None and family == "transaction":
            params["updated_at[GTE]"] = since.astimezone(UTC).isoformat()
        is_more = True
        while is_more:
            call = Call(method="GET", path=_PATHS[family], params=params)
            page = await self.caller.ask(call, Page[msgspec.Raw], patience=LISTING_SECONDS)
            entities = [_entity(family, raw) for raw in page.data]
            for entity in entities:
                yield entity
            is_more = page.meta.pagination.has_more and bool(page.data)
            params = _question(page.meta.pagination.next, params) if is_more else {}

    async def _as_it_is(self, subscription_id: str, refused: PaddleRefused) -> Subscription:
        """What a refused cancelling met. Raises `refused` where that is not known."""
        try:
            return await self.get_subscription(subscription_id)
        except (PaddleAway, PaddleRefused):
            raise refused from None


def _question(address: str | None, asked: dict[str, str]) -> dict[str, str]:
    """Of the next page. Our key goes to Paddle's own host alone, so no more of it is taken.

    Raises PaddleAway where it is none that leads on: the same page would come without end.
    """
    question = dict(parse_qsl(urlsplit(address or "").query))
    if "after" not in question or question == asked:
        raise PaddleAway(_UNREADABLE)
    return question


def _change(price_id: str) -> Body:
    """At once and prorated; where a payment fails, nothing changes."""
    return {
        "items": [{"price_id": price_id, "quantity": 1}],
        "proration_billing_mode": "prorated_immediately",
        "on_payment_failure": "prevent_change",
    }


def _entity(family: Family, raw: msgspec.Raw) -> Entity:
    try:
        shape = msgspec.json.decode(raw, type=EntityShape)
    except msgspec.DecodeError:
        raise PaddleAway(_UNREADABLE) from None
    return Entity(
        family=family,
        id=shape.id,
        updated_at=shape.updated_at or shape.created_at,
        raw=bytes(raw),
    )
