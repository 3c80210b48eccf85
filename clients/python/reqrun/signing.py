"""Signing a call: an HMAC-SHA-256 over five lines, keyed with the signing secret's own bytes.

The lines are the method, the path without its query, the timestamp, the nonce, and the SHA-256 of
the body as sent. Standard library only.
"""

import hashlib
import hmac
import string
import uuid
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Final, Protocol, TypeVar

TIMESTAMP: Final = "X-ReqRun-Timestamp"
NONCE: Final = "X-ReqRun-Nonce"
SIGNATURE: Final = "X-ReqRun-Signature"


class UnsignableBody(TypeError):
    """The body is a stream, a file or a form: its bytes are not known before they are sent."""


class Url(Protocol):
    """`raw_path`: the path and the query as they go over the wire."""

    @property
    def raw_path(self) -> bytes:
        """For example `b"/v1/requests/rr_1?wait=5"`."""


class Signable(Protocol):
    """What httpx's requests and httpx2's have in common."""

    @property
    def method(self) -> str:
        """Upper case."""

    @property
    def url(self) -> Url:
        """Where it goes."""

    @property
    def headers(self) -> MutableMapping[str, str]:
        """Those that will be sent."""

    @property
    def content(self) -> bytes:
        """The body. Raises a RuntimeError where it is a stream."""


RequestT = TypeVar("RequestT", bound=Signable)


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def new_nonce() -> str:
    """32 hex characters that nobody has used before."""
    return uuid.uuid4().hex


class SigningAuth:
    """Signs whatever passes through it; give it as `auth=` to a client of httpx or httpx2.

    Every call is signed anew, so a client's own retries are too. The API key is not its business:
    send it as `Authorization: Bearer …`, which the openai package does by itself.
    """

    __slots__ = ("_clock", "_nonce", "_secret")

    def __init__(
        self,
        signing_secret: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        nonce: Callable[[], str] = new_nonce,
    ) -> None:
        """White space around the secret is dropped. Raises ValueError where nothing is left."""
        secret = signing_secret.strip(string.whitespace)  # ASCII alone, as in every language
        if not secret:
            raise ValueError("the signing secret is empty")
        self._secret, self._clock, self._nonce = secret.encode(), clock, nonce

    def __call__(self, request: RequestT) -> RequestT:
        """Put the three headers on `request`. Raises UnsignableBody."""
        path, _, _ = request.url.raw_path.partition(b"?")
        request.headers.update(self.headers(request.method, path.decode("ascii"), _body(request)))
        return request

    def headers(self, method: str, path: str, body: bytes = b"") -> dict[str, str]:
        """The three headers, for any other way of making a call.

        `path` is what follows the host, without the query; `body` the very bytes that are sent.
        """
        moment = self._clock().astimezone(UTC).isoformat(timespec="milliseconds")
        timestamp, nonce = moment.replace("+00:00", "Z"), self._nonce()
        lines = (method.upper(), path, timestamp, nonce, hashlib.sha256(body).hexdigest())
        signature = hmac.new(self._secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
        return {TIMESTAMP: timestamp, NONCE: nonce, SIGNATURE: f"v1={signature}"}

    def __repr__(self) -> str:
        """Without the secret."""
        return "SigningAuth(***)"


def _body(request: Signable) -> bytes:
    """The body; httpx and httpx2 each raise a RequestNotRead of their own, both RuntimeErrors."""
    try:
        return request.content
    except RuntimeError as unread:
        raise UnsignableBody(
            "A streamed body cannot be signed: give the body as bytes, text or `json=`."
        ) from unread
