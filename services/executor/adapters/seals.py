"""Opening what is sealed to this process, once a minute: HPKE costs a tenth of a millisecond."""

import time
from collections.abc import Callable
from typing import Final

from libs.common.crypto import SealingKeyring

KEPT_SECONDS: Final = 60.0
MAX_KEPT: Final = 10_000


class OpenedSeals:
    """A keyring with a short memory of what it has opened, by the sealed bytes themselves.

    What accounts does not hand out any more is so forgotten within a minute of its last use.
    """

    def __init__(
        self, keyring: SealingKeyring, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: monotonic seconds."""
        self._keyring, self._clock = keyring, clock
        self._kept: dict[tuple[bytes, str], tuple[float, bytes]] = {}

    def open(self, sealed: bytes, context: str) -> bytes:
        """The plain bytes. Raises SealBroken, which is never kept."""
        now = self._clock()
        opened_at, plain = self._kept.get((sealed, context), (0.0, b""))
        if plain and now - opened_at < KEPT_SECONDS:
            return plain
        plain = self._keyring.open(sealed, context)
        self._kept.pop((sealed, context), None)
        self._kept[sealed, context] = (now, plain)
        self._drop_old(now)
        return plain

    def _drop_old(self, now: float) -> None:
        """They stand in the order they were opened in, so it ends at the first that may stay."""
        while self._kept:
            oldest = next(iter(self._kept))
            if len(self._kept) <= MAX_KEPT and now - self._kept[oldest][0] < KEPT_SECONDS:
                return
            del self._kept[oldest]
