"""Where a call goes: the customer's base URL and our endpoint, judged once and taken apart."""

import re
from typing import Final

import httpx2
import msgspec

from services.executor.domain.calls import FailureKind

MAX_URL_CHARS: Final = 2048
MAX_PORT: Final = 65_535

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_VISIBLE: Final = re.compile(rb"[!-~]+")
"""What may stand in a request's first line and in its Host: nothing that could end a line."""


class CallRefused(Exception):
    """The call cannot start: nothing was sent. `kind` says why."""

    def __init__(self, kind: FailureKind) -> None:
        """Carry the kind alone: a text might quote the customer's URL."""
        super().__init__(kind.value)
        self.kind = kind


class Origin(msgspec.Struct, frozen=True):
    """What connections are kept by. `host` is ASCII (IDNA), lower-case, without brackets."""

    scheme: str
    host: str
    port: int


class Target(msgspec.Struct, frozen=True):
    """One endpoint of one provider. `authority` is the Host header, `path` begins with a slash.

    `is_open`: an operator named this host, so that its address is not checked.
    """

    origin: Origin
    authority: bytes
    path: bytes
    is_open: bool


def target_of(base_url: str, endpoint: str, open_hosts: frozenset[str]) -> Target:
    """Put `endpoint` after `base_url`. An entry of `open_hosts` is `host` or `host:port`.

    Raises CallRefused (BAD_URL) for what is not an absolute http(s) URL, has a user, a query or a
    fragment, or is plain http to a host that is not open.
    """
    url = _parse(base_url)
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    is_open = not open_hosts.isdisjoint((host, f"{host}:{port}"))
    is_fit = host and not host.startswith(".") and 0 < port <= MAX_PORT
    if not is_fit or (url.scheme == "http" and not is_open):
        raise CallRefused(FailureKind.BAD_URL)
    path = url.raw_path.rstrip(b"/") + b"/" + endpoint.strip("/").encode("ascii")
    if not (_VISIBLE.fullmatch(url.netloc) and _VISIBLE.fullmatch(path)):
        raise CallRefused(FailureKind.BAD_URL)
    return Target(Origin(url.scheme, host, port), url.netloc, path, is_open)


def _parse(base_url: str) -> httpx2.URL:
    if len(base_url) > MAX_URL_CHARS or "?" in base_url or "#" in base_url:
        raise CallRefused(FailureKind.BAD_URL)
    try:
        url = httpx2.URL(base_url)
    except (httpx2.InvalidURL, ValueError):
        raise CallRefused(FailureKind.BAD_URL) from None
    if url.userinfo or url.scheme not in _DEFAULT_PORTS:
        raise CallRefused(FailureKind.BAD_URL)
    return url
