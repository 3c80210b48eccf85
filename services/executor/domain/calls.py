"""One call to a provider, as values: where it goes and what came of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from libs.common.settings import Secret

RATE_LIMIT_HEADERS: Final = (
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)
"""OpenAI's names (its page "Rate limits"), which its imitators use too."""

REQUEST_ID_HEADER: Final = "x-request-id"

USED_HEADERS: Final = frozenset({*RATE_LIMIT_HEADERS, REQUEST_ID_HEADER})
"""The only response headers that anybody reads: an adapter need not carry others."""


class ProviderConnection(msgspec.Struct, frozen=True, kw_only=True):
    """Where a project's calls go. `base_url` is the customer's input; the endpoint is put after it.

    `connection_id` names the connection in logs and cool-downs.
    """

    connection_id: str
    base_url: str
    key: Secret


class Answer(msgspec.Struct, frozen=True):
    """The provider answered in full. `headers`: lower-case names, of USED_HEADERS only.

    The body of an answer that is not 2xx may be cut short: it is kept for people, not for machines.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes


class FailureKind(StrEnum):
    """Why there is no answer."""

    BAD_URL = "bad_url"
    BAD_KEY = "bad_key"
    BLOCKED_ADDRESS = "blocked_address"
    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    TIMEOUT_AFTER_SENDING = "timeout_after_sending"
    CUT = "cut"
    """The connection ended, or spoke something that is not HTTP, before the answer was whole."""
    TOO_LARGE = "too_large"


class CallFailure(msgspec.Struct, frozen=True):
    """There is no answer. `was_sent` is False only when no byte of the request can have arrived."""

    kind: FailureKind
    was_sent: bool
