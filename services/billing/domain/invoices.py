"""Which transactions are invoices, and what refunds and credits make of them."""

from collections.abc import Iterable
from typing import Final

import msgspec

INVOICES: Final = frozenset({"billed", "paid", "completed", "past_due", "canceled"})
"""States of a billed transaction that people are shown, as Paddle calls them."""

_WITH_PDF: Final = INVOICES - {"canceled"}

UNPAID: Final = frozenset({"draft", "ready", "billed", "past_due"})
"""States in which a payment that failed is still to be made."""

_COUNTED: Final = {
    "refund": 1,
    "credit": 1,
    "chargeback": 1,
    "credit_reverse": -1,
    "chargeback_reverse": -1,
}


class Line(msgspec.Struct, frozen=True):
    """What was charged for; `total` with tax, in minor units."""

    description: str
    quantity: int
    total: int


class Adjusted(msgspec.Struct, frozen=True):
    """A refund, credit or chargeback, in Paddle's words; `total` in minor units, as told."""

    action: str
    state: str
    total: int


def credited(adjustments: Iterable[Adjusted]) -> int:
    """What was given back: of what is approved only, less what was taken back."""
    return sum(
        _COUNTED.get(adjusted.action, 0) * abs(adjusted.total)
        for adjusted in adjustments
        if adjusted.state == "approved"
    )


def has_pdf(state: str, number: str | None) -> bool:
    """Whether Paddle has a document of it: it gives one to each number."""
    return number is not None and state in _WITH_PDF
