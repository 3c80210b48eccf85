"""Pauses between tries, for loops that must not give up."""

import random
from collections.abc import Iterator
from datetime import timedelta


def growing(first: timedelta, longest: timedelta) -> Iterator[float]:
    """Seconds: from `first`, doubling up to `longest`, endless.

    Each is shortened at random by up to a half, so that processes that lost the same server do not
    all come back in one instant.
    """
    seconds = first.total_seconds()
    while True:
        yield seconds * random.uniform(0.5, 1)  # noqa: S311  # spreads load, keeps no secret
        seconds = min(seconds * 2, longest.total_seconds())
