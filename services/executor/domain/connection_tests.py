"""What an answer to "which models are there?" says about a provider connection."""

from typing import Final

import msgspec

from libs.common.contracts.executor import ConnectionTestCode
from services.executor.domain.bodies import count_models, error_names
from services.executor.domain.calls import Answer, CallFailure, FailureKind


class Finding(msgspec.Struct, frozen=True):
    """`models`: how many the provider lists, where it does."""

    code: ConnectionTestCode
    models: int | None = None

    @property
    def message(self) -> str:
        """For people; quotes neither the provider nor the key."""
        return _MESSAGES[self.code]


_MESSAGES: Final[dict[ConnectionTestCode, str]] = {
    "good": "The provider took the key and listed its models.",
    "key_unreadable": "The stored provider key cannot be opened. Set the connection again.",
    "bad_address": "The base URL is none that can be called. It begins with https:// and has"
    " neither user nor query.",
    "refused_address": "The base URL leads to an address that is not on the public internet."
    " Such addresses are never called.",
    "name_not_found": "The name in the base URL leads nowhere (DNS).",
    "connection_refused": "Nobody takes connections at the base URL.",
    "tls_failed": "The provider's certificate does not prove who it is (TLS).",
    "timed_out": "The provider did not answer within 10 seconds.",
    "connection_cut": "The connection ended before there was an answer.",
    "answer_too_large": "The provider's list of models is too large to be one.",
    "wrong_key": "The provider does not accept this key.",
    "not_compatible": "There is an answer, but no list of models as OpenAI gives it. Is the path of"
    " the base URL right? OpenAI's own ends in /v1.",
    "rate_limited": "The provider answers 429: it is asked too often with this key just now."
    " Try again in a minute.",
    "quota_exhausted": "The provider knows this key, but its quota is used up.",
    "provider_failed": "The provider has a failure of its own. Try again later.",
}

_FAILURES: Final[dict[FailureKind, ConnectionTestCode]] = {
    FailureKind.BAD_URL: "bad_address",
    FailureKind.BAD_KEY: "wrong_key",
    FailureKind.BLOCKED_ADDRESS: "refused_address",
    FailureKind.DNS: "name_not_found",
    FailureKind.REFUSED: "connection_refused",
    FailureKind.TLS: "tls_failed",
    FailureKind.CONNECT_TIMEOUT: "timed_out",
    FailureKind.TIMEOUT_AFTER_SENDING: "timed_out",
    FailureKind.CUT: "connection_cut",
    FailureKind.TOO_LARGE: "answer_too_large",
}

_UNAUTHORIZED: Final = (401, 403)
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_QUOTA: Final = "insufficient_quota"


def judge(answer: Answer | CallFailure) -> Finding:
    """A redirect is an answer like any other that is no list: nobody follows it."""
    if isinstance(answer, CallFailure):
        return Finding(_FAILURES[answer.kind])
    if answer.status_code in _UNAUTHORIZED:
        return Finding("wrong_key")
    if answer.status_code == _TOO_MANY:
        is_spent = _QUOTA in error_names(answer.body)
        return Finding("quota_exhausted" if is_spent else "rate_limited")
    if answer.status_code >= _SERVER_ERRORS:
        return Finding("provider_failed")
    models = count_models(answer.body) if answer.status_code // 100 == 2 else None  # noqa: PLR2004  "2xx" is the name of the class
    return Finding("not_compatible" if models is None else "good", models)
