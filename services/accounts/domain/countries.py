"""Countries of ISO 3166-1, from pycountry's copy of the Debian iso-codes."""

from functools import cache
from typing import Final, NamedTuple

import pycountry

from services.accounts.domain.errors import InvalidCountry


class Country(NamedTuple):
    """`code`: two letters. `name`: in English, as people say it."""

    code: str
    name: str


def _read() -> tuple[Country, ...]:
    found = (
        Country(entry.alpha_2, getattr(entry, "common_name", entry.name))
        for entry in pycountry.countries
    )
    return tuple(sorted(found, key=lambda country: country.name.replace("Å", "A")))


COUNTRIES: Final = _read()
"""By name, as a list to choose from shows them."""


def check_country(code: str) -> str:
    """The code itself. Raises InvalidCountry."""
    if code not in _names():
        raise InvalidCountry("Choose a country from the list.")
    return code


def name_of(code: str) -> str:
    """Its name. Raises KeyError for what `check_country` has not let through."""
    return _names()[code]


@cache
def _names() -> dict[str, str]:
    return dict(COUNTRIES)
