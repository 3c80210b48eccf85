"""API keys: what a new one is, and what of it is shown later."""

from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal

import msgspec

from services.accounts.domain.errors import InvalidDigests, InvalidExpiry

DIGEST_BYTES: Final = 32
SHOWN_PREFIX: Final = len("reqrun_live_")
SHOWN_END: Final = 4
LONGEST_LIFE: Final = timedelta(days=3_650)


Mode = Literal["live", "test"]
"""`test` keys reach the simulator only, and count for nothing."""


class Purpose(StrEnum):
    """What the key was made for, in the words of the key page."""

    OWN_CODE = "own_code"
    STOCK_SDK = "stock_sdk"  # answers as a provider would: drop-in


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is wished for. `life`: None never expires."""

    project_id: str
    mode: Mode
    name: str
    purpose: Purpose = Purpose.OWN_CODE
    life: timedelta | None = None


def check_life(life: timedelta | None) -> timedelta | None:
    """`life` itself. Raises InvalidExpiry unless it lies within ten years."""
    if life is not None and not timedelta() < life <= LONGEST_LIFE:
        raise InvalidExpiry(f"A key lives between one and {LONGEST_LIFE.days} days.")
    return life


def parse_digests(texts: tuple[str, ...], limit: int) -> list[bytes]:
    """The digests that `texts` hold in hex. Raises InvalidDigests."""
    if len(texts) > limit:
        raise InvalidDigests(f"At most {limit} digests fit in one question.")
    try:
        digests = [bytes.fromhex(text) for text in texts]
    except ValueError:
        raise InvalidDigests("A digest is not in hex.") from None
    if any(len(digest) != DIGEST_BYTES for digest in digests):
        raise InvalidDigests(f"A digest has {DIGEST_BYTES} bytes.")
    return digests
