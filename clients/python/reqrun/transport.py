"""From a call to httpx2 and back: address, credentials, time limits."""

import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from reqrun.exchange import Answer, Call
from reqrun.signing import SigningAuth
from reqrun.version import VERSION

BASE_URL: Final = "https://api.reqrun.com"
LOST: Final = (
    httpx2.TimeoutException,
    httpx2.NetworkError,
    httpx2.RemoteProtocolError,
    httpx2.ProxyError,
    httpx2.DecodingError,
    ssl.SSLError,
)
"""What can end a call whose effect nobody knows."""

_AGENT: Final = f"reqrun-python/{VERSION}"
_CONNECT_SECONDS: Final = 10.0


class Caller:
    """Who calls, and where. Its `repr` shows no key."""

    def __init__(self, api_key: str, signing_secret: str | None, base_url: str) -> None:
        """Raises ValueError where one of them can never work; the text does not quote it."""
        key = api_key.strip()
        if not key or not key.isascii() or not key.isprintable():
            raise ValueError("the API key is empty, or has characters that no key has")
        self._authorization = f"Bearer {key}"
        self._auth = None if signing_secret is None else SigningAuth(signing_secret)
        self._base_url = _origin(base_url)

    def arguments(self, call: Call) -> dict[str, Any]:
        """What `httpx2.Client.request` is given: signed now, so ask anew for each try.

        What is signed is the API's own path: a proxy may put its own before it. The client's own
        `auth` and redirects are off: both would send the key where it was not meant to go.
        """
        signed = self._auth.headers(call.method, call.path, call.body) if self._auth else {}
        content = {"content-type": "application/json"} if call.body else {}
        own = {"authorization": self._authorization, "user-agent": _AGENT}
        return {
            "method": call.method,
            "url": self._base_url + call.path,
            "params": call.query or None,
            "content": call.body or None,
            "headers": {"accept": "application/json", **own, **content, **signed},
            "timeout": httpx2.Timeout(call.seconds, connect=_CONNECT_SECONDS),
            "auth": None,
            "follow_redirects": False,
        }

    def __repr__(self) -> str:
        """Where it calls, without the keys."""
        return f"Caller({self._base_url!r}, ***)"


def answer(response: httpx2.Response) -> Answer:
    """A response that was read."""
    return Answer(response.status_code, dict(response.headers), response.content)


def _origin(base_url: str) -> str:
    """Without the slash at its end. An address for the openai package ends in `/v1`: not ours."""
    url = base_url.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("base_url must begin with https:// or http://")
    if parts.username or parts.query or parts.fragment or parts.path.endswith("/v1"):
        raise ValueError("base_url is the origin alone: no user, no query, and no /v1 at its end")
    return url
