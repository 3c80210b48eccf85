"""The doors for people: a checkout and a customer portal. No script anywhere.

Everywhere it says that no money moves. What is typed into the card's fields is not even sent.
"""

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response, Router, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from deploy.local.paddle import invoices
from deploy.local.paddle.refusals import Refused
from deploy.local.paddle.shop import Shop, must_be_open
from deploy.local.paddle.steps import STEPS
from deploy.local.paddle.store import Thing

AnyRequest = Request[Any, Any, Any]

_FOLDER: Final = Path(__file__).parent / "templates"
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_COUNTRIES: Final = {
    "US": "United States", "DE": "Germany", "FR": "France", "GB": "United Kingdom",
    "NL": "Netherlands", "ES": "Spain", "IT": "Italy", "AT": "Austria", "IE": "Ireland",
    "CH": "Switzerland", "SE": "Sweden", "PL": "Poland", "CA": "Canada", "JP": "Japan",
}  # fmt: skip
_SEE_OTHER: Final = 303


def _money(amount: str) -> str:
    return f"{int(amount) / 100:,.2f}"


_PAGES: Final = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined
)
_PAGES.filters["money"] = _money


def routes(shop: Shop) -> Router:
    """All pages."""
    handlers = [*_checkout(shop), *_portal(shop), *_rest(shop)]
    return Router("/", route_handlers=handlers, exception_handlers={Refused: _refuse})


def _checkout(shop: Shop) -> list[HTTPRouteHandler]:
    @get("/checkout")
    async def show_checkout(request: AnyRequest) -> Response[bytes]:
        transaction = shop.transaction(request.query_params.get("_ptxn", ""))
        return _checkout_page(shop, transaction, error="")

    @post("/checkout/{transaction_id:str}")
    async def settle(request: AnyRequest, transaction_id: FromPath[str]) -> Response[bytes]:
        transaction = shop.transaction(transaction_id)
        form = {name: str(value).strip() for name, value in (await request.form()).items()}
        try:
            must_be_open(transaction)
            _take_details(shop, transaction, form)
            if form.get("outcome") == "decline":
                shop.decline(transaction)
                return _checkout_page(shop, transaction, error="The card was declined.")
            shop.pay(transaction)
        except Refused as refused:
            text = "; ".join(f"{name} {why}" for name, why in refused.fields.items())
            return _checkout_page(shop, transaction, error=text or str(refused))
        return _to(f"/checkout?_ptxn={transaction_id}")

    return [show_checkout, settle]


def _portal(shop: Shop) -> list[HTTPRouteHandler]:
    @get("/portal/{session_id:str}")
    async def show_portal(session_id: FromPath[str]) -> Response[bytes]:
        return _portal_page(shop, session_id, error="")

    @post("/portal/{session_id:str}/{subscription_id:str}/{step:str}")
    async def take_step(
        session_id: FromPath[str], subscription_id: FromPath[str], step: FromPath[str]
    ) -> Response[bytes]:
        session = shop.people.session(session_id)
        subscription = shop.subscriptions.get(subscription_id)
        if subscription["customer_id"] != session["customer_id"] or step not in STEPS:
            raise Refused.not_found(subscription_id)
        try:
            STEPS[step].do(shop, subscription)
        except Refused as refused:
            return _portal_page(shop, session_id, error=str(refused))
        return _to(f"/portal/{session_id}")

    return [show_portal, take_step]


def _rest(shop: Shop) -> list[HTTPRouteHandler]:
    @get("/")
    async def show_home() -> Response[bytes]:
        counts = shop.store.counts()
        subscriptions = [_shown(shop, one) for one in shop.store.all("subscription")]
        return _page("home.html", counts=counts, subscriptions=subscriptions)

    @post("/portal")
    async def enter(request: AnyRequest) -> Response[bytes]:
        customer_id = str((await request.form()).get("customer_id", ""))
        return _to(f"/portal/{shop.people.open_session(customer_id, [])['id']}")

    @get("/invoices/{name:str}")
    async def show_invoice(name: FromPath[str]) -> Response[bytes]:
        transaction = shop.transaction(name.removesuffix(".pdf"))
        if transaction["invoice_number"] is None:
            raise Refused.not_found(name)
        return Response(invoices.pdf(transaction), media_type="application/pdf")

    @get("/style.css")
    async def show_style() -> Response[bytes]:
        style = (_FOLDER / "style.css").read_bytes()
        return Response(style, media_type="text/css; charset=utf-8")

    return [show_home, enter, show_invoice, show_style]


def _take_details(shop: Shop, transaction: Thing, form: dict[str, str]) -> None:
    """Where the buyer is, and in whose name they buy. Raises Refused."""
    customer_id = transaction["customer_id"]
    if customer_id is None:
        customer_id = transaction["customer_id"] = _customer(shop, form["email"])["id"]
    address = {"country_code": form["country"], "postal_code": form["postal_code"] or None}
    kept = shop.store.find("address", transaction["address_id"] or "")
    if kept is None:
        kept = shop.people.create("address", address, customer_id)
    elif any(kept[name] != value for name, value in address.items()):
        kept = shop.people.update("address", kept, address)
    business = shop.store.find("business", transaction["business_id"] or "")
    named = {"name": form["business_name"], "tax_identifier": form["tax_identifier"] or None}
    if business is None and named["name"]:
        business = shop.people.create("business", named, customer_id)
    elif business is not None and any(business[name] != value for name, value in named.items()):
        business = shop.people.update("business", business, named)
    shop.sales.address_to(transaction, kept["id"], business["id"] if business else None)


def _customer(shop: Shop, email: str) -> Thing:
    """Whoever has this address, or somebody new. Raises Refused."""
    everybody = shop.people.every("customer")
    found = (one for one in everybody if one["email"].lower() == email.lower())
    return next(found, None) or shop.people.create("customer", {"email": email})


def _checkout_page(shop: Shop, transaction: Thing, error: str) -> Response[bytes]:
    return_url = (transaction["custom_data"] or {}).get("return_url", "")
    is_safe = return_url.startswith(("http://", "https://"))
    return _page(
        "checkout.html",
        transaction=transaction,
        is_open=transaction["status"] in {"draft", "ready"},
        return_url=return_url if is_safe else "",
        customer=shop.store.find("customer", transaction["customer_id"] or ""),
        address=shop.store.find("address", transaction["address_id"] or "") or {},
        business=shop.store.find("business", transaction["business_id"] or "") or {},
        countries=_COUNTRIES,
        error=error,
    )


def _portal_page(shop: Shop, session_id: str, error: str) -> Response[bytes]:
    session = shop.people.session(session_id)
    customer_id = session["customer_id"]
    return _page(
        "portal.html",
        session=session,
        customer=shop.people.get("customer", customer_id),
        subscriptions=[_shown(shop, one) for one in shop.subscriptions_of(customer_id)],
        transactions=shop.transactions_of(customer_id),
        error=error,
    )


def _shown(shop: Shop, subscription: Thing) -> Thing:
    possible = {name: step for name, step in STEPS.items() if step.can(shop, subscription)}
    will_fail = shop.subscriptions.will_fail(subscription)
    return {**subscription, "steps": possible, "will_fail": will_fail}


def _page(template: str, **values: Any) -> Response[bytes]:
    headers = {
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    html = _PAGES.get_template(template).render(values)
    return Response(html.encode(), media_type="text/html; charset=utf-8", headers=headers)


def _to(path: str) -> Response[bytes]:
    return Response(b"", status_code=_SEE_OTHER, headers={"location": path})


def _refuse(_: AnyRequest, refused: Refused) -> Response[bytes]:
    answer = _page("refused.html", text=str(refused))
    answer.status_code = refused.status
    return answer
