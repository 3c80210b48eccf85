"""What crosses at the gateway's side of the execution plane."""

from collections.abc import Sequence
from typing import Final

import msgspec

WAKE_UP_CHANNEL: Final = "reqrun.finished"
"""Redis channel: MessagePack, a list of Ended. Any message may be lost."""

TOLD_RESULT_BYTES: Final = 16 * 1024
"""A larger result is not told: every gateway hears every wake-up."""

CHAT_COMPLETIONS: Final = "chat/completions"
"""An endpoint is named by its path under the provider's base URL."""


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """A request that is final, told after COMMIT.

    `result`: of a completed one, sealed under a key of which no half is told (decision 0015), where
    it is small. `attempts`: all of it, told with the result.
    """

    request_id: str
    attempts: int = 0
    result: bytes | None = None


def encode_wake_up(ended: Sequence[Ended]) -> bytes:
    """One message of the channel."""
    return _ENCODER.encode(ended)


def decode_wake_up(message: bytes) -> list[Ended]:
    """Its content. Raises msgspec.DecodeError."""
    return _DECODER.decode(message)


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[Ended])
