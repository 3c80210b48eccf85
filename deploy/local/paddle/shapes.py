"""Paddle's entities as the stand-in makes them (developer.paddle.com/api-reference)."""

from datetime import datetime
from typing import Any, Final

from libs.common.contracts.plans import PlanName

Thing = dict[str, Any]

CURRENCY: Final = "USD"
AMOUNTS: Final = {PlanName.PRO: 4_900, PlanName.SCALE: 49_900}
"""What the plans cost here a month, in cents: made up."""

_MADE_AT: Final = "2026-01-01T00:00:00.000000Z"
# Enough to see what tax does to an invoice; who has a VAT id pays none, as within the EU.
_TAX_RATES: Final = {"AT": 20, "DE": 19, "ES": 21, "FR": 20, "GB": 20, "IE": 23, "IT": 22, "NL": 21}


def stamp(moment: datetime) -> str:
    """RFC 3339 with microseconds, as Paddle writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def product(plan: PlanName) -> Thing:
    """What a plan's price is of."""
    return {
        "id": f"pro_{plan.value.rjust(26, '0')}",
        "name": f"ReqRun {plan.value.capitalize()}",
        "description": None,
        "type": "standard",
        "tax_category": "saas",
        "image_url": None,
        "status": "active",
        "custom_data": None,
        "import_meta": None,
        "created_at": _MADE_AT,
        "updated_at": _MADE_AT,
    }


def price(price_id: str, plan: PlanName) -> Thing:
    """Monthly, before tax."""
    return {
        "id": price_id,
        "product_id": product(plan)["id"],
        "name": plan.value.capitalize(),
        "description": f"ReqRun {plan.value.capitalize()}, monthly",
        "type": "standard",
        "billing_cycle": {"interval": "month", "frequency": 1},
        "trial_period": None,
        "tax_mode": "external",
        "unit_price": {"amount": str(AMOUNTS[plan]), "currency_code": CURRENCY},
        "unit_price_overrides": [],
        "quantity": {"minimum": 1, "maximum": 1},
        "status": "active",
        "custom_data": None,
        "import_meta": None,
        "created_at": _MADE_AT,
        "updated_at": _MADE_AT,
    }


def tax_percent(address: Thing | None, business: Thing | None) -> int:
    """What the stand-in takes for this country."""
    if address is None or (business is not None and business["tax_identifier"]):
        return 0
    return _TAX_RATES.get(address["country_code"], 0)


def details(lines: list[tuple[Thing, Thing, int]], percent: int, *, paid: bool) -> Thing:
    """`lines`: price, product, and what it costs this time, before tax."""
    rate = f"{percent / 100:g}"
    each = [_totals(amount, percent) for _, _, amount in lines]
    whole = _totals(sum(amount for _, _, amount in lines), percent)
    totals = {
        **whole,
        "credit": "0",
        "credit_to_balance": "0",
        "balance": "0" if paid else whole["total"],
        "grand_total": whole["total"],
        "grand_total_tax": whole["tax"],
        "fee": None,
        "earnings": None,
        "currency_code": CURRENCY,
    }
    return {
        "tax_rates_used": [{"tax_rate": rate, "totals": whole}],
        "totals": totals,
        "adjusted_totals": None,
        "payout_totals": None,
        "adjusted_payout_totals": None,
        "line_items": [
            {
                "id": f"txnitm_{sold['id'].removeprefix('pri_')}",
                "price_id": sold["id"],
                "quantity": 1,
                "proration": None,
                "tax_rate": rate,
                "unit_totals": line,
                "totals": line,
                "product": made,
            }
            for (sold, made, _), line in zip(lines, each, strict=True)
        ],
    }


def payment(payment_id: str, amount: str, at: str, *, is_good: bool) -> Thing:
    """An attempt to take money from a card that is none."""
    card = {
        "type": "visa",
        "last4": "4242",
        "expiry_month": 12,
        "expiry_year": 2030,
        "cardholder_name": None,
    }
    return {
        "payment_attempt_id": payment_id,
        "stored_payment_method_id": payment_id,
        "payment_method_id": None,
        "amount": amount,
        "status": "captured" if is_good else "error",
        "error_code": None if is_good else "declined",
        "method_details": {"type": "card", "card": card},
        "created_at": at,
        "captured_at": at if is_good else None,
    }


def _totals(amount: int, percent: int) -> dict[str, str]:
    tax = (amount * percent + 50) // 100
    return {
        "subtotal": str(amount),
        "discount": "0",
        "tax": str(tax),
        "total": str(amount + tax),
    }
