"""Webhooks as Paddle would send them: in its shapes, with the fields that its documents name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from libs.common.contracts.plans import PlanName
from libs.common.settings import Secret
from services.billing.domain.signatures import sign

BEGAN_AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECRET = Secret("pdl_ntfset_01hs0t3tw21j988db1pam5xg8m_made-up-for-tests")

PRO_MONTHLY = "pri_01pro0monthly0000000000000"
PRO_YEARLY = "pri_01pro0yearly00000000000000"
SCALE_MONTHLY = "pri_01scale0monthly00000000000"
PRICES = {
    PRO_MONTHLY: PlanName.PRO,
    PRO_YEARLY: PlanName.PRO,
    SCALE_MONTHLY: PlanName.SCALE,
}


def at(**after: float) -> datetime:
    """So long after `BEGAN_AT`."""
    return BEGAN_AT + timedelta(**after)


def event(
    event_type: str, data: dict[str, Any], occurred_at: datetime, event_id: str | None = None
) -> bytes:
    """The body of a webhook; its event id follows from what it says, unless one is given."""
    named = event_id or _event_id(event_type, str(data.get("id")), occurred_at)
    return msgspec.json.encode(
        {
            "event_id": named,
            "event_type": event_type,
            "occurred_at": event_time(occurred_at),
            "notification_id": named.replace("evt_", "ntf_"),
            "data": data,
        }
    )


def signature(body: bytes, signed_at: datetime, *secrets: Secret) -> str:
    """The header of a webhook that was signed then, with each of the secrets."""
    seconds = int(signed_at.timestamp())
    signed = f"{seconds}:".encode() + body
    parts = [f"h1={sign(secret, signed)}" for secret in secrets or (SECRET,)]
    return ";".join([f"ts={seconds}", *parts])


def customer(number: int = 1, **changes: Any) -> dict[str, Any]:
    """`data` of customer.*."""
    return {
        "id": f"ctm_{number:026d}",
        "name": "Jo Canary-Brown",
        "email": f"canary{number}@example.com",
        "locale": "en",
        "status": "active",
        "created_at": event_time(BEGAN_AT),
        "updated_at": event_time(BEGAN_AT),
        "custom_data": None,
        "import_meta": None,
        "marketing_consent": False,
    } | changes


def address(number: int = 1, **changes: Any) -> dict[str, Any]:
    """`data` of address.*."""
    return {
        "id": f"add_{number:026d}",
        "customer_id": f"ctm_{number:026d}",
        "status": "active",
        "description": None,
        "first_line": "5 Canary Lane",
        "second_line": None,
        "city": "Kassel",
        "postal_code": "34117-canary",
        "region": "HE",
        "country_code": "DE",
        "created_at": event_time(BEGAN_AT),
        "updated_at": event_time(BEGAN_AT),
        "custom_data": None,
        "import_meta": None,
    } | changes


def business(number: int = 1, **changes: Any) -> dict[str, Any]:
    """`data` of business.*."""
    return {
        "id": f"biz_{number:026d}",
        "customer_id": f"ctm_{number:026d}",
        "name": "Canary GmbH",
        "company_number": None,
        "tax_identifier": "DE111111125",
        "status": "active",
        "contacts": [],
        "created_at": event_time(BEGAN_AT),
        "updated_at": event_time(BEGAN_AT),
        "custom_data": None,
        "import_meta": None,
    } | changes


def subscription(
    number: int = 1, status: str = "active", price_id: str = PRO_MONTHLY, **changes: Any
) -> dict[str, Any]:
    """`data` of subscription.*; of account `acc_<number>` unless `custom_data` says otherwise."""
    return {
        "id": f"sub_{number:026d}",
        "status": status,
        "customer_id": f"ctm_{number:026d}",
        "address_id": f"add_{number:026d}",
        "business_id": None,
        "currency_code": "USD",
        "created_at": event_time(BEGAN_AT),
        "updated_at": event_time(BEGAN_AT),
        "started_at": event_time(BEGAN_AT),
        "first_billed_at": event_time(BEGAN_AT),
        "next_billed_at": event_time(at(days=31)),
        "paused_at": None,
        "canceled_at": None,
        "discount": None,
        "collection_mode": "automatic",
        "billing_details": None,
        "current_billing_period": {
            "starts_at": event_time(BEGAN_AT),
            "ends_at": event_time(at(days=31)),
        },
        "billing_cycle": {"interval": "month", "frequency": 1},
        "scheduled_change": None,
        "items": [_item(price_id)],
        "custom_data": {"account_id": f"acc_{number}"},
        "import_meta": None,
    } | changes


def scheduled(action: str, effective_at: datetime) -> dict[str, Any]:
    """What `scheduled_change` holds."""
    return {"action": action, "effective_at": event_time(effective_at), "resume_at": None}


def transaction(
    number: int = 1, status: str = "completed", total: int = 4900, **changes: Any
) -> dict[str, Any]:
    """`data` of transaction.*; of subscription and customer of the same number."""
    tax = total // 10
    totals = {
        "subtotal": str(total - tax), "discount": "0", "tax": str(tax), "total": str(total),
        "credit": "0", "balance": "0", "grand_total": str(total), "fee": None, "earnings": None,
        "currency_code": "USD", "credit_to_balance": "0", "grand_total_tax": str(tax),
    }  # fmt: skip
    return {
        "id": f"txn_{number:026d}",
        "status": status,
        "customer_id": f"ctm_{number:026d}",
        "address_id": f"add_{number:026d}",
        "business_id": None,
        "custom_data": {"account_id": f"acc_{number}"},
        "currency_code": "USD",
        "origin": "subscription_recurring",
        "subscription_id": f"sub_{number:026d}",
        "invoice_id": f"inv_{number:026d}",
        "invoice_number": f"325-{number}",
        "collection_mode": "automatic",
        "discount_id": None,
        "billing_details": None,
        "billing_period": None,
        "items": [{"price": _price(PRO_MONTHLY), "quantity": 1, "proration": None}],
        "details": {
            "tax_rates_used": [],
            "totals": totals,
            "adjusted_totals": None,
            "payout_totals": None,
            "adjusted_payout_totals": None,
            "line_items": [_line(totals)],
        },
        "payments": [],
        "checkout": {"url": None},
        "created_at": event_time(BEGAN_AT),
        "updated_at": event_time(BEGAN_AT),
        "billed_at": event_time(BEGAN_AT),
        "revised_at": None,
    } | changes


def adjustment(
    number: int = 1, action: str = "refund", status: str = "approved", **changes: Any
) -> dict[str, Any]:
    """`data` of adjustment.*: ten dollars back of the transaction of the same number."""
    totals = {
        "subtotal": "900", "tax": "100", "total": "1000", "fee": "0", "earnings": "0",
        "currency_code": "USD", "retained_fee": "0",
    }  # fmt: skip
    return {
        "id": f"adj_{number:026d}",
        "action": action,
        "type": "partial",
        "transaction_id": f"txn_{number:026d}",
        "subscription_id": f"sub_{number:026d}",
        "customer_id": f"ctm_{number:026d}",
        "reason": "asked for",
        "credit_applied_to_balance": None,
        "currency_code": "USD",
        "status": status,
        "items": [],
        "totals": totals,
        "payout_totals": None,
        "tax_rates_used": [],
        "created_at": event_time(BEGAN_AT),
        "updated_at": event_time(BEGAN_AT),
    } | changes


def event_time(moment: datetime) -> str:
    """As Paddle writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _event_id(event_type: str, thing: str, occurred_at: datetime) -> str:
    return f"evt_{event_type}_{thing[-12:]}_{int(occurred_at.timestamp() * 1000)}"


def _price(price_id: str) -> dict[str, Any]:
    return {
        "id": price_id,
        "product_id": "pro_00000000000000000000000001",
        "name": None,
        "description": "monthly",
        "type": "standard",
        "billing_cycle": {"interval": "month", "frequency": 1},
        "trial_period": None,
        "tax_mode": "account_setting",
        "unit_price": {"amount": "4900", "currency_code": "USD"},
        "unit_price_overrides": [],
        "quantity": {"minimum": 1, "maximum": 1},
        "status": "active",
        "custom_data": None,
        "import_meta": None,
        "created_at": event_time(BEGAN_AT),
        "updated_at": event_time(BEGAN_AT),
    }


def _item(price_id: str) -> dict[str, Any]:
    return {
        "status": "active",
        "quantity": 1,
        "recurring": True,
        "created_at": event_time(BEGAN_AT),
        "updated_at": event_time(BEGAN_AT),
        "previously_billed_at": None,
        "next_billed_at": event_time(at(days=31)),
        "trial_dates": None,
        "price": _price(price_id),
        "product": None,
    }


def _line(totals: dict[str, Any]) -> dict[str, Any]:
    short = {name: totals[name] for name in ("subtotal", "discount", "tax", "total")}
    return {
        "id": "txnitm_0000000000000000000000001",
        "price_id": PRO_MONTHLY,
        "quantity": 1,
        "proration": None,
        "tax_rate": "0.1",
        "unit_totals": short,
        "totals": short,
        "product": {"id": "pro_00000000000000000000000001", "name": "ReqRun Pro"},
    }
