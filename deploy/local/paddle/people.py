"""Customers, their addresses and businesses, and their way into the portal."""

import re
from datetime import timedelta
from typing import Any, Final

from deploy.local.paddle.refusals import Refused
from deploy.local.paddle.shapes import stamp
from deploy.local.paddle.store import Store, Thing
from deploy.local.paddle.telling import Teller
from libs.common.ids import new_id

SESSION: Final = timedelta(hours=1)

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_NEEDS_POSTAL_CODE: Final = frozenset({"AU", "CA", "DE", "ES", "FR", "GB", "IN", "IT", "NL", "US"})
_PREFIXES: Final = {"customer": "ctm", "address": "add", "business": "biz"}
_FIELDS: Final = {
    "customer": ("name", "email", "locale", "custom_data", "status"),
    "address": (
        "description", "first_line", "second_line", "city", "postal_code", "region",
        "country_code", "custom_data", "status",
    ),
    "business": (
        "name", "company_number", "tax_identifier", "contacts", "custom_data", "status",
    ),
}  # fmt: skip
_DEFAULTS: Final[dict[str, Thing]] = {
    "customer": {"marketing_consent": False, "locale": "en"},
    "address": {},
    "business": {"contacts": []},
}


class People:
    """Who buys."""

    def __init__(self, store: Store, teller: Teller) -> None:
        """In `store`."""
        self._store, self._teller = store, teller

    def get(self, kind: str, thing_id: str, customer_id: str | None = None) -> Thing:
        """One, of that customer. Raises Refused."""
        found = self._store.find(kind, thing_id)
        if found is None or (customer_id is not None and found["customer_id"] != customer_id):
            raise Refused.not_found(thing_id)
        return found

    def every(self, kind: str, customer_id: str | None = None) -> list[Thing]:
        """All, or all of that customer; newest first."""
        found = self._store.all(kind)
        return [one for one in found if customer_id in {None, one.get("customer_id")}]

    def create(self, kind: str, body: Thing, customer_id: str | None = None) -> Thing:
        """A new one. Raises Refused."""
        now = stamp(self._store.now())
        thing: Thing = {
            "id": new_id(_PREFIXES[kind]),
            **dict.fromkeys(_FIELDS[kind]),
            **_DEFAULTS[kind],
            "status": "active",
            "import_meta": None,
            "created_at": now,
        }
        if customer_id is not None:
            self.get("customer", customer_id)
            thing["customer_id"] = customer_id
        return self._save(kind, thing, body, f"{kind}.created")

    def update(self, kind: str, thing: Thing, body: Thing) -> Thing:
        """Changed in what `body` names. Raises Refused."""
        return self._save(kind, thing, body, f"{kind}.updated")

    def open_session(self, customer_id: str, subscription_ids: list[str]) -> Thing:
        """A way into the portal. Raises Refused."""
        self.get("customer", customer_id)
        now = self._store.now()
        session: Thing = {
            "id": new_id("cpls"),
            "customer_id": customer_id,
            "subscription_ids": subscription_ids,
            "created_at": stamp(now),
            "expires_at": stamp(now + SESSION),
        }
        self._store.put("session", session)
        return session

    def session(self, session_id: str) -> Thing:
        """One that is still good. Raises Refused."""
        found = self._store.find("session", session_id)
        if found is None or found["expires_at"] < stamp(self._store.now()):
            raise Refused.not_found(session_id)
        return found

    def _save(self, kind: str, thing: Thing, body: Thing, event_type: str) -> Thing:
        wanted = {name: body[name] for name in _FIELDS[kind] if name in body}
        saved = {**thing, **wanted, "updated_at": stamp(self._store.now())}
        self._check(kind, saved)
        with self._store.change():
            self._store.put(kind, saved)
            self._teller.tell(event_type, saved)
        return saved

    def _check(self, kind: str, thing: Thing) -> None:
        if kind == "customer":
            self._check_email(thing)
        elif kind == "address":
            _check_address(thing)
        elif not thing["name"]:
            raise Refused.invalid(name="must be provided as part of the request")

    def _check_email(self, customer: Thing) -> None:
        email: Any = customer["email"]
        if not isinstance(email, str) or not _EMAIL.fullmatch(email):
            raise Refused.invalid(email="must be a valid email")
        for other in self._store.all("customer"):
            if other["email"].lower() == email.lower() and other["id"] != customer["id"]:
                detail = f"customer email conflicts with customer of id {other['id']}"
                raise Refused(409, "customer_already_exists", detail)


def _check_address(address: Thing) -> None:
    if not _COUNTRY.fullmatch(address["country_code"] or ""):
        raise Refused.invalid(country_code="must be a supported country")
    if address["country_code"] in _NEEDS_POSTAL_CODE and not address["postal_code"]:
        raise Refused.invalid(postal_code="must be provided for this country")
