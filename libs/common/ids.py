"""Identifiers: `<prefix>_<26 characters>`, time-ordered, safe in a URL and in a shell.

The 26 characters are Crockford base32 (lower case) of 48 bits of milliseconds and 80 bits of
randomness, the layout of a ULID (github.com/ulid/spec). They sort by creation time in any byte-wise
collation, which keeps inserts at one end of every index.
"""

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH: Final = 26
_RANDOM_BITS: Final = 80
_TIME_SHIFTS: Final = range(45, -1, -5)  # 48 bits of time are the first ten characters
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAIRS: Final = tuple(high + low for high in ALPHABET for low in ALPHABET)


def new_id(prefix: str) -> str:
    """Make an id that no other call makes, on any machine."""
    number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    # Ten bits at a time: half the steps of the textbook loop, on the hot path of every accept.
    characters = [_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(characters)}"


def lowest_id(prefix: str, at: datetime) -> str:
    """What sorts before every id made at `at` (from 1970) or later, and after all others."""
    number = (at - _EPOCH) // timedelta(milliseconds=1)
    return f"{prefix}_{''.join(ALPHABET[number >> shift & 31] for shift in _TIME_SHIFTS)}"


def is_id(prefix: str, text: str) -> bool:
    """Tell whether `text` could have come from `new_id(prefix)`; cheap enough to guard a query."""
    head, _, tail = text.partition("_")
    return head == prefix and len(tail) == LENGTH and all(c in ALPHABET for c in tail)
