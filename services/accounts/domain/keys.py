"""API keys: what a new one is, and what of it is shown later."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec

from libs.common.contracts.accounts import KeyDigests
from services.accounts.domain.errors import InvalidDigests, InvalidExpiry, InvalidOverlap

DIGEST_BYTES: Final = 32
SHOWN_PREFIX: Final = len("reqrun_live_")
SHOWN_END: Final = 4
LONGEST_LIFE: Final = timedelta(days=3_650)
LONGEST_OVERLAP: Final = timedelta(hours=720)
MOST_OLDER: Final = 4
"""Digests under older peppers that one key of a question may have."""

Mode = Literal["live", "test"]
"""`test` keys reach the simulator only, and count for nothing."""


class Purpose(StrEnum):
    """What the key was made for, in the words of the key page."""

    OWN_CODE = "own_code"
    STOCK_SDK = "stock_sdk"  # answers as a provider would: drop-in
    SIGNED = "signed"  # every call carries a signature by the key's own secret


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is wished for. `life`: None never expires. `id`: see `domain.forms.id_for`."""

    project_id: str
    mode: Mode
    name: str
    purpose: Purpose = Purpose.OWN_CODE
    life: timedelta | None = None
    id: str = ""


def check_life(life: timedelta | None) -> timedelta | None:
    """`life` itself. Raises InvalidExpiry unless it lies within ten years."""
    if life is not None and not timedelta() < life <= LONGEST_LIFE:
        raise InvalidExpiry(f"A key lives between one and {LONGEST_LIFE.days} days.")
    return life


def check_overlap(overlap: timedelta) -> timedelta:
    """`overlap` itself. Raises InvalidOverlap unless it lies within thirty days."""
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        hours = LONGEST_OVERLAP // timedelta(hours=1)
        raise InvalidOverlap(f"Old and new key are both good for 0 to {hours} hours.")
    return overlap


class AskedKey(NamedTuple):
    """A key as a question names it: its digest under the newest pepper, and under older ones."""

    newest: bytes
    older: tuple[bytes, ...]


def parse_digests(keys: Sequence[KeyDigests], limit: int) -> list[AskedKey]:
    """The digests that `keys` hold in hex. Raises InvalidDigests."""
    if len(keys) > limit:
        raise InvalidDigests(f"At most {limit} keys fit in one question.")
    if any(len(key.older) > MOST_OLDER for key in keys):
        raise InvalidDigests(f"A key has at most {MOST_OLDER} older digests.")
    return [AskedKey(_digest(key.digest), tuple(map(_digest, key.older))) for key in keys]


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        raise InvalidDigests("A digest is not in hex.") from None
    if len(digest) != DIGEST_BYTES:
        raise InvalidDigests(f"A digest has {DIGEST_BYTES} bytes.")
    return digest
