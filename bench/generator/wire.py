"""Just enough HTTP/1.1: one POST at a time on a kept connection, parsed by hand to be cheap."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, cast

from bench.generator.job import Target

Payload = Callable[[], bytes]
"""Makes the bytes of one request."""

_BLANK_LINE = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


class NotUnderstood(Exception):
    """An answer that this parser was not made for: chunked, say, or followed by more."""


def encode(target: Target) -> Payload:
    """The same bytes every time; or, where the target signs, a key and a signature of its own."""
    if target.signing_secret is None:
        payload = _message(target, target.body.encode(), {})
        return lambda: payload
    secret = target.signing_secret.encode()
    return lambda: _signed(target, secret)


def _signed(target: Target, secret: bytes) -> bytes:
    """As published in docs/api.md; the generator knows nothing of the product's code."""
    nonce = secrets.token_hex(16)
    body = f'{target.body[:-1]},"idempotency_key":"{nonce}"}}'.encode()
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    text = f"POST\n{target.path}\n{timestamp}\n{nonce}\n{hashlib.sha256(body).hexdigest()}"
    digest = hmac.digest(secret, text.encode(), hashlib.sha256).hex()
    return _message(
        target,
        body,
        {
            "X-ReqRun-Timestamp": timestamp,
            "X-ReqRun-Nonce": nonce,
            "X-ReqRun-Signature": f"v1={digest}",
        },
    )


def _message(target: Target, body: bytes, extra: dict[str, str]) -> bytes:
    headers = {
        "Host": f"{target.host}:{target.port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **target.headers,
        **extra,
    }
    lines = [f"POST {target.path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def split(data: bytes) -> tuple[bytes, bytes] | None:
    """Head and body of a complete message, None while some of it is missing."""
    end = data.find(_BLANK_LINE)
    if end < 0:
        return None
    head = data[:end]
    lower = head.lower()
    at = lower.find(_LENGTH)
    if at < 0:
        raise NotUnderstood("no content-length")
    stop = lower.find(b"\r\n", at + 2)
    length = int(lower[at + len(_LENGTH) : stop if stop > 0 else end])
    body = data[end + len(_BLANK_LINE) :]
    if len(body) > length:
        raise NotUnderstood("more than one message")
    return (head, body) if len(body) == length else None


class Load(Protocol):
    """Who is told what happens on a connection."""

    def answered(self, connection: "Connection", status: int, body: bytes) -> None:
        """The answer to what was sent."""

    def lost(self, connection: "Connection") -> None:
        """The connection is gone; what was sent on it may still be unanswered."""


class Connection(asyncio.Protocol):
    """One kept connection with at most one request under way.

    `since`: when its request was sent or should have been, set by the load.
    """

    def __init__(self, load: Load, payload: Payload) -> None:
        """`payload`: makes what each `send` sends."""
        self._load, self._payload = load, payload
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self.since = 0.0
        self.is_busy = False

    def send(self) -> None:
        """Send the request. Only while none is under way."""
        if self._transport is None:
            raise ConnectionError("not connected")
        self.is_busy = True
        self._transport.write(self._payload())

    def close(self) -> None:
        """Close it; what is under way is given up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._buffer:
            data = self._buffer + data
        message = split(data)
        if message is None:
            self._buffer = data
            return
        self._buffer = b""
        self.is_busy = False
        head, body = message
        self._load.answered(self, int(head[9:12]), body)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        del exc  # what matters is whether something was under way
        self._transport = None
        self._load.lost(self)
