"""Provider connections: which addresses and keys can be one at all.

Only the shape is judged here. Where a host's name leads is judged by the executor, at every call,
because names change (security page of the documentation, "Outgoing calls").
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Final
from urllib.parse import SplitResult, urlsplit

from services.accounts.domain.errors import InvalidBaseUrl, InvalidProviderKey
from services.accounts.domain.throttles import Bound

LONGEST_URL: Final = 500  # characters
LONGEST_KEY: Final = 1_000
_LONG_ENOUGH_TO_SHOW_SOME: Final = 16
_SHOWN_START: Final = 3
_SHOWN_END: Final = 4


def tests_of(account_id: str) -> list[Bound]:
    """How often an account may have its connections tested.

    A test takes as long as the provider likes, and tells of any public host which ports are open.
    """
    return [Bound(f"test.{account_id}", 30, timedelta(hours=1))]


def check_base_url(text: str, open_hosts: Collection[str] = ()) -> str:
    """`text` without a slash at its end. Raises InvalidBaseUrl.

    HTTPS only, but for what an operator has opened (`host` or `host:port`; local development).
    """
    text = text.strip()
    if len(text) > LONGEST_URL or not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidBaseUrl(f"A base URL has at most {LONGEST_URL} characters of plain ASCII.")
    url = _split(text)
    is_open = url.hostname in open_hosts or f"{url.hostname}:{url.port}" in open_hosts
    if url.scheme != "https" and not (is_open and url.scheme == "http"):
        raise InvalidBaseUrl("A base URL begins with https://.")
    if "@" in url.netloc or "?" in text or "#" in text or "\\" in text:
        raise InvalidBaseUrl("A base URL has no user, query or fragment.")
    return text.rstrip("/")


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        has_host = bool(url.hostname) and url.port != 0
    except ValueError:  # an IPv6 address or a port that is none
        has_host = False
    if not has_host:
        raise InvalidBaseUrl("A base URL names a host, such as https://api.openai.com/v1.")
    return url


def check_provider_key(text: str) -> str:
    """`text` without the blanks around it. Raises InvalidProviderKey, which quotes nothing."""
    text = text.strip()
    fits = text.isascii() and text.isprintable() and " " not in text
    if not fits or not 1 <= len(text) <= LONGEST_KEY:
        raise InvalidProviderKey(
            f"A provider key has 1 to {LONGEST_KEY} characters of plain ASCII without blanks."
        )
    return text


def provider_key_hint(key: str) -> str:
    """What people recognise their key by, `sk-…abcd`; of a short key nothing is shown."""
    if len(key) < _LONG_ENOUGH_TO_SHOW_SOME:
        return "…"
    return f"{key[:_SHOWN_START]}…{key[-_SHOWN_END:]}"
