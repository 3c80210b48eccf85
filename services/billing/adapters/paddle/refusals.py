"""What Paddle refuses, as errors of ours: developer.paddle.com/errors.

Its own texts name entities and quote what was sent: they are neither shown nor logged.
"""

from typing import Final

import msgspec

from libs.common.errors import AppError
from services.billing.domain.paddle import DetailsRefused, PaddleRefused

_LATER: Final = " Try again in a few minutes."
_TEXTS: Final = {
    "subscription_payment_declined": (
        "The payment was declined, and nothing was changed. Check the payment method in the"
        " payment provider's portal, then try again."
    ),
    "subscription_locked_renewal": (
        "The subscription is about to renew and cannot be changed for half an hour."
    ),
    "subscription_locked_processing": "The subscription is just being changed." + _LATER,
    "subscription_locked_pending_changes": "The subscription is just being changed." + _LATER,
    "subscription_update_when_canceled": "The subscription has ended. Buy a plan anew.",
    "subscription_is_canceled_action_invalid": "The subscription has ended. Buy a plan anew.",
    "subscription_update_when_past_due": (
        "A payment is missing: pay it in the payment provider's portal, then change the plan."
    ),
    "subscription_not_active": "The subscription is not active, so it cannot be changed.",
    "not_found": "The payment provider does not know this any more.",
    "customer_already_exists": (
        "Invoices of somebody else go to this address of e-mail: choose another one."
    ),
}
_DETAILS: Final = {
    "tax_identifier": "The payment provider does not take this VAT id.",
    "postal_code": "The payment provider needs a valid postal code for this country.",
    "zip_code": "The payment provider needs a valid postal code for this country.",
    "country_code": "The payment provider does not sell to this country.",
    "email": "The payment provider does not take this address of e-mail.",
    "name": "The payment provider does not take this business name.",
}
_OTHER: Final = "The payment provider refused this. If it stays so, write to support."


class Field(msgspec.Struct, frozen=True):
    """A field that Paddle takes for wrong."""

    field: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """What is read of Paddle's error object; `detail` on purpose not."""

    code: str
    errors: tuple[Field, ...] = ()


class RefusalBody(msgspec.Struct, frozen=True):
    """Around it."""

    error: Refusal


def refused(refusal: Refusal) -> AppError:
    """The error to raise."""
    for wrong in refusal.errors:
        name = wrong.field.rpartition(".")[2]
        if name in _DETAILS:
            return DetailsRefused(_DETAILS[name])
    for name, text in _DETAILS.items():  # `address_postal_code_…`, `business_tax_identifier_…`
        if name in refusal.code and refusal.code.startswith(("address_", "business_", "customer_")):
            return DetailsRefused(text)
    return PaddleRefused(_TEXTS.get(refusal.code, _OTHER), reason=refusal.code)
