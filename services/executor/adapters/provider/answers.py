"""Reading an answer without trusting its size: caps apply to the decoded bytes."""

import zlib
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final

import httpcore2

from services.executor.domain.calls import USED_HEADERS, Answer, CallFailure, FailureKind

MAX_ERROR_BYTES: Final = 64 * 1024
"""Of an answer that is not 2xx, this much is read; the rest is left unread."""

_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
_INFLATED: Final = frozenset({"gzip", "x-gzip", "deflate"})


async def read_answer(response: httpcore2.Response, max_answer_bytes: int) -> Answer | CallFailure:
    """The whole answer, inflated if it came deflated although we ask for none of that.

    A body whose encoding is broken reads as empty, and one of unknown encoding stays as it came:
    neither is JSON, and that is how they are judged.
    """
    is_success = response.status // 100 == 2  # noqa: PLR2004 - "2xx" is the name of the class
    headers = _used_headers(response)
    limit = max_answer_bytes if is_success else MAX_ERROR_BYTES
    try:
        body = await _read(response, limit, is_deflated=_is_deflated(response))
    except zlib.error:
        body = b""
    if is_success and len(body) > limit:
        return CallFailure(FailureKind.TOO_LARGE, was_sent=True)
    return Answer(response.status, headers, body[:limit])


async def _read(response: httpcore2.Response, limit: int, *, is_deflated: bool) -> bytes:
    """Decoded bytes, at most `limit` and one more, which tells that there are too many."""
    body = bytearray()
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if is_deflated else None
    async with aclosing(response.aiter_stream()) as chunks:
        async for chunk in chunks:
            room = limit + 1 - len(body)
            body += inflate.decompress(chunk, room) if inflate else chunk[:room]
            if len(body) > limit:
                break
    return bytes(body)


def _is_deflated(response: httpcore2.Response) -> bool:
    encodings = (value for name, value in response.headers if name.lower() == b"content-encoding")
    return next(encodings, b"").decode("latin-1").strip().lower() in _INFLATED


def _used_headers(response: httpcore2.Response) -> Mapping[str, str]:
    """Of a repeated header, the first."""
    used: dict[str, str] = {}
    for raw_name, value in response.headers:
        name = raw_name.decode("latin-1").lower()
        if name in USED_HEADERS:
            used.setdefault(name, value.decode("latin-1"))
    return used
