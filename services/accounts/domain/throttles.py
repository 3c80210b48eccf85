"""What may be tried how often, by whom."""

import hashlib
from datetime import timedelta
from typing import Final

import msgspec

from services.accounts.domain.emails import Email


class Bound(msgspec.Struct, frozen=True):
    """So many tries at once, and as many in each window. `name`: of what, without naming whom.

    `network`: where they come from, truncated; None where it does not matter.
    """

    name: str
    tries: int
    window: timedelta
    network: str | None = None


_HOUR: Final = timedelta(hours=1)


def on_password(email: Email, network: str) -> list[Bound]:
    """Guessing one person's password, or everybody's from one place.

    From elsewhere an owner gets in although somebody keeps guessing, until it is many who guess.
    """
    return [
        _bound(f"password.{network}", 100, network),
        of_owner(email, network),
        _bound(f"password.{email.key}", 100, network),
    ]


def of_owner(email: Email, network: str) -> Bound:
    """The one of `on_password` that whoever knows the password gets back."""
    return _bound(f"password.{email.key}.{network}", 10, network)


def on_link(network: str) -> list[Bound]:
    """Trying links that were mailed to somebody."""
    return [_bound(f"link.{network}", 60, network)]


def on_mail(email: Email, network: str) -> list[Bound]:
    """Making us write to an address, whether it is known or not."""
    return [
        _bound(f"mail.{network}", 30, network),
        _bound(f"mail.{email.key}", 5, network),
    ]


def _bound(name: str, tries: int, network: str) -> Bound:
    # A digest, so that the table says of nobody that they were here.
    what, _, whom = name.partition(".")
    return Bound(
        f"{what}.{hashlib.sha256(whom.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}",
        tries,
        _HOUR,
        network,
    )
