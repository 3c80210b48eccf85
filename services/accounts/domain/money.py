"""Amounts of money for people."""

from typing import Final

_WHOLE: Final = frozenset({"CLP", "JPY", "KRW", "VND"})
"""Currencies without a minor unit (ISO 4217)."""
_PLACES: Final = 2


def amount_of(minor: int, currency: str) -> str:
    """`EUR 1,234.50` of 123450 minor units (cents); a credit with its sign: `EUR -1.50`."""
    places = 0 if currency in _WHOLE else _PLACES
    return f"{currency} {minor / 10**places:,.{places}f}"
