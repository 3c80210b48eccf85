"""What each path of the API does, as a table. Everything raises Refused."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from deploy.local.paddle.refusals import Refused
from deploy.local.paddle.shop import Shop
from deploy.local.paddle.store import Thing

_PER_PAGE: Final = 50
_LARGEST: Final = 200
_FILTERS: Final = ("id", "customer_id", "subscription_id", "status", "email")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `ids`: of its path."""

    path: str
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Thing


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A page of things."""

    things: list[Thing]
    pagination: Thing


Answer = Callable[[Shop, Asked], Thing | Listed]


def _page(shop: Shop, asked: Asked, found: list[Thing]) -> Listed:
    """`found`: newest first."""
    kept = [thing for thing in found if _passes(thing, asked.query)]
    if not asked.query.get("order_by", "").endswith("[DESC]"):
        kept.reverse()
    size = min(int(asked.query.get("per_page", _PER_PAGE)), _LARGEST)
    after = asked.query.get("after")
    start = next((n + 1 for n, one in enumerate(kept) if one["id"] == after), 0)
    things = kept[start : start + size]
    has_more = start + size < len(kept)
    query = {**asked.query, "after": things[-1]["id"] if things else after or ""}
    pagination = {
        "per_page": size,
        "next": f"{shop.base_url}{asked.path}?{urlencode(query)}",
        "has_more": has_more,
        "estimated_total": len(kept),
    }
    return Listed(things=things, pagination=pagination)


def _passes(thing: Thing, query: Mapping[str, str]) -> bool:
    for name in _FILTERS:
        wanted = query.get(name)
        if wanted is not None and str(thing.get(name)) not in wanted.split(","):
            return False
    since = query.get("updated_at[GTE]")
    if since is None:
        return True
    return datetime.fromisoformat(thing["updated_at"]) >= datetime.fromisoformat(since)


def _things(kind: str) -> Answer:
    return lambda shop, asked: _page(shop, asked, shop.store.all(kind))


def _mine(kind: str) -> Answer:
    return lambda shop, asked: _page(shop, asked, shop.people.every(kind, asked.ids["customer_id"]))


def _make(kind: str) -> Answer:
    return lambda shop, asked: shop.people.create(kind, asked.body, asked.ids.get("customer_id"))


def _show(kind: str) -> Answer:
    return lambda shop, asked: shop.people.get(kind, asked.ids[f"{kind}_id"], _owner(kind, asked))


def _change(kind: str) -> Answer:
    def answer(shop: Shop, asked: Asked) -> Thing:
        thing = shop.people.get(kind, asked.ids[f"{kind}_id"], _owner(kind, asked))
        return shop.people.update(kind, thing, asked.body)

    return answer


def _owner(kind: str, asked: Asked) -> str | None:
    return None if kind == "customer" else asked.ids["customer_id"]


def _create_transaction(shop: Shop, asked: Asked) -> Thing:
    return shop.sales.create(asked.body, shop.base_url)


def _show_transaction(shop: Shop, asked: Asked) -> Thing:
    return shop.transaction(asked.ids["transaction_id"])


def _show_invoice(shop: Shop, asked: Asked) -> Thing:
    transaction = shop.transaction(asked.ids["transaction_id"])
    if transaction["invoice_number"] is None:
        raise Refused(400, "transaction_invoice_not_available", "there is no invoice yet")
    return {"url": f"{shop.base_url}/invoices/{transaction['id']}.pdf"}


def _open_portal(shop: Shop, asked: Asked) -> Thing:
    customer_id = asked.ids["customer_id"]
    wanted = asked.body.get("subscription_ids", [])
    session = shop.people.open_session(customer_id, wanted)
    home = f"{shop.base_url}/portal/{session['id']}"
    links = [
        {
            "id": one,
            "cancel_subscription": home,
            "update_subscription_payment_method": home,
            "view_subscription": home,
        }
        for one in wanted
    ]
    urls = {"general": {"overview": home}, "subscriptions": links}
    return {**session, "urls": urls}


def _show_subscription(shop: Shop, asked: Asked) -> Thing:
    return _managed(shop, _subscription(shop, asked))


def _preview(shop: Shop, asked: Asked) -> Thing:
    return shop.subscriptions.preview(_subscription(shop, asked), asked.body)


def _change_subscription(shop: Shop, asked: Asked) -> Thing:
    shop.subscriptions.change(_subscription(shop, asked), asked.body)
    return _show_subscription(shop, asked)


def _cancel(shop: Shop, asked: Asked) -> Thing:
    shop.subscriptions.cancel(_subscription(shop, asked), at_once=_is_at_once(asked))
    return _show_subscription(shop, asked)


def _pause(shop: Shop, asked: Asked) -> Thing:
    shop.subscriptions.pause(_subscription(shop, asked), at_once=_is_at_once(asked))
    return _show_subscription(shop, asked)


def _resume(shop: Shop, asked: Asked) -> Thing:
    shop.subscriptions.resume(_subscription(shop, asked))
    return _show_subscription(shop, asked)


def _prices(shop: Shop, asked: Asked) -> Listed:
    return _page(shop, asked, shop.catalogue.all())


def _show_price(shop: Shop, asked: Asked) -> Thing:
    return shop.catalogue.price(asked.ids["price_id"])


def _subscription(shop: Shop, asked: Asked) -> Thing:
    return shop.subscriptions.get(asked.ids["subscription_id"])


def _is_at_once(asked: Asked) -> bool:
    return asked.body.get("effective_from") == "immediately"


def _managed(shop: Shop, subscription: Thing) -> Thing:
    link: Any = f"{shop.base_url}/portal"
    urls = {"update_payment_method": link, "cancel": link, "view_subscription": link}
    return {**subscription, "management_urls": urls}


_CUSTOMER: Final = "/customers/{customer_id:str}"
_SUBSCRIPTION: Final = "/subscriptions/{subscription_id:str}"

ANSWERS: Final[tuple[tuple[str, str, Answer], ...]] = (
    ("GET", "/customers", _things("customer")),
    ("POST", "/customers", _make("customer")),
    ("GET", _CUSTOMER, _show("customer")),
    ("PATCH", _CUSTOMER, _change("customer")),
    ("GET", f"{_CUSTOMER}/addresses", _mine("address")),
    ("POST", f"{_CUSTOMER}/addresses", _make("address")),
    ("PATCH", f"{_CUSTOMER}/addresses/{{address_id:str}}", _change("address")),
    ("GET", f"{_CUSTOMER}/businesses", _mine("business")),
    ("POST", f"{_CUSTOMER}/businesses", _make("business")),
    ("PATCH", f"{_CUSTOMER}/businesses/{{business_id:str}}", _change("business")),
    ("POST", f"{_CUSTOMER}/portal-sessions", _open_portal),
    ("GET", "/prices", _prices),
    ("GET", "/prices/{price_id:str}", _show_price),
    ("GET", "/transactions", _things("transaction")),
    ("POST", "/transactions", _create_transaction),
    ("GET", "/transactions/{transaction_id:str}", _show_transaction),
    ("GET", "/transactions/{transaction_id:str}/invoice", _show_invoice),
    ("GET", "/adjustments", _things("adjustment")),
    ("GET", "/subscriptions", _things("subscription")),
    ("GET", _SUBSCRIPTION, _show_subscription),
    ("PATCH", _SUBSCRIPTION, _change_subscription),
    ("PATCH", f"{_SUBSCRIPTION}/preview", _preview),
    ("POST", f"{_SUBSCRIPTION}/cancel", _cancel),
    ("POST", f"{_SUBSCRIPTION}/pause", _pause),
    ("POST", f"{_SUBSCRIPTION}/resume", _resume),
)
