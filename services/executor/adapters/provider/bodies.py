"""The body of an answer, decoded as it comes and never beyond its cap."""

import zlib
from typing import Final

_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
_INFLATED: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})


class Body:
    """Decoded bytes, at most `limit` and one more, which tells that there are too many.

    It is inflated if it comes deflated although we ask for none of that. A body whose encoding is
    broken reads as empty, and one of unknown encoding stays as it came: neither is JSON, and that
    is how they are judged.
    """

    def __init__(self, encoding: bytes, limit: int) -> None:
        """`encoding`: the answer's Content-Encoding."""
        is_deflated = encoding.lower() in _INFLATED
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if is_deflated else None
        self._limit = limit
        self._bytes = bytearray()

    @property
    def is_too_large(self) -> bool:
        """Whether there is more than `content`."""
        return len(self._bytes) > self._limit

    @property
    def content(self) -> bytes:
        """What came, or the beginning of it."""
        return bytes(memoryview(self._bytes)[: self._limit])

    def add(self, chunk: bytes) -> bool:
        """Whether there is any use in more."""
        room = self._limit + 1 - len(self._bytes)
        try:
            self._bytes += self._inflate.decompress(chunk, room) if self._inflate else chunk[:room]
        except zlib.error:
            self._bytes.clear()
            return False
        return not self.is_too_large
