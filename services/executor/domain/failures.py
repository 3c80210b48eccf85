"""Classification: what an answer, or the lack of one, means (docs/request-lifecycle.md, Retries).

An outcome is `ambiguous` when the request may have reached the provider and no whole answer came
back: it may have been paid for. `lost` and the other `ambiguous` ones, of executors that died, are
written by the ledger (libs/ledger/orphans.py).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from libs.ledger.states import Outcome
from services.executor.domain import bodies, waits
from services.executor.domain.bodies import Tokens
from services.executor.domain.calls import (
    RATE_LIMIT_HEADERS,
    REQUEST_ID_HEADER,
    Answer,
    CallFailure,
    FailureKind,
)


class ErrorCode(StrEnum):
    """Public `last_error_code`s that an attempt can end with."""

    PROVIDER_RATE_LIMITED = "provider_rate_limited"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_AUTH_FAILED = "provider_auth_failed"
    PROVIDER_REJECTED = "provider_rejected"
    PROVIDER_QUOTA_EXHAUSTED = "provider_quota_exhausted"
    NO_PROVIDER_CONNECTION = "no_provider_connection"
    CONTENT_UNREADABLE = "content_unreadable"
    """The body is gone or does not open: erased meanwhile, or damaged. Nothing was sent."""
    EXECUTOR_CRASHED = "executor_crashed"


class Retry(StrEnum):
    """`waits`: cost nothing, bounded by the deadline only. `counted`: may have been paid."""

    WAITS = "waits"
    COUNTED = "counted"
    NEVER = "never"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All that is decided about an attempt from its call alone; clean and bounded for the ledger.

    `asked_wait` and `asked_by` (the header) are both set or both None. `is_cooldown`: nobody should
    call this connection and model for a while. `is_timeout`: counts against the two that a request
    may have. `rate_limits`: the provider's own headers, for the owner's timeline.
    """

    outcome: Outcome
    retry: Retry = Retry.NEVER
    error_code: ErrorCode | None = None
    status_code: int | None = None
    is_timeout: bool = False
    is_cooldown: bool = False
    asked_wait: timedelta | None = None
    asked_by: str | None = None
    tokens: Tokens = Tokens()
    provider_request_id: str | None = None
    rate_limits: Mapping[str, str] = MappingProxyType({})


class _Meaning(msgspec.Struct, frozen=True):
    outcome: Outcome
    retry: Retry
    error_code: ErrorCode
    is_cooldown: bool = False


_UNAVAILABLE: Final = _Meaning(Outcome.TRANSIENT, Retry.WAITS, ErrorCode.PROVIDER_UNAVAILABLE)
_UNUSABLE: Final = _Meaning(Outcome.TRANSIENT, Retry.COUNTED, ErrorCode.PROVIDER_UNAVAILABLE)
_UNKNOWN: Final = _Meaning(Outcome.AMBIGUOUS, Retry.COUNTED, ErrorCode.PROVIDER_UNAVAILABLE)
_OVERLOADED: Final = msgspec.structs.replace(_UNAVAILABLE, is_cooldown=True)
_REJECTED: Final = _Meaning(Outcome.PERMANENT, Retry.NEVER, ErrorCode.PROVIDER_REJECTED)
_NO_ACCESS: Final = _Meaning(Outcome.PERMANENT, Retry.NEVER, ErrorCode.PROVIDER_AUTH_FAILED)
_NO_QUOTA: Final = _Meaning(Outcome.PERMANENT, Retry.NEVER, ErrorCode.PROVIDER_QUOTA_EXHAUSTED)
_NOWHERE: Final = _Meaning(Outcome.PERMANENT, Retry.NEVER, ErrorCode.NO_PROVIDER_CONNECTION)

_BY_STATUS: Final = {
    401: _NO_ACCESS,
    # Payment required: how several OpenAI-compatible providers say that the balance is used up.
    402: _NO_QUOTA,
    403: _NO_ACCESS,
    408: _UNUSABLE,
    409: _UNUSABLE,
    425: _UNUSABLE,
    429: _Meaning(
        Outcome.TRANSIENT, Retry.WAITS, ErrorCode.PROVIDER_RATE_LIMITED, is_cooldown=True
    ),
    503: _OVERLOADED,
    529: _OVERLOADED,
}

_BY_FAILURE: Final = {
    FailureKind.BAD_URL: _NOWHERE,
    FailureKind.BAD_KEY: _NO_ACCESS,
    FailureKind.BLOCKED_ADDRESS: _NOWHERE,
    FailureKind.DNS: _UNAVAILABLE,
    FailureKind.REFUSED: _UNAVAILABLE,
    FailureKind.TLS: _UNAVAILABLE,
    FailureKind.CONNECT_TIMEOUT: _UNAVAILABLE,
    FailureKind.TIMEOUT_AFTER_SENDING: _Meaning(
        Outcome.AMBIGUOUS, Retry.COUNTED, ErrorCode.PROVIDER_TIMEOUT
    ),
    FailureKind.CUT: _UNKNOWN,
    # It was paid for, and would be too large again: repeating it only costs.
    FailureKind.TOO_LARGE: _REJECTED,
}

_QUOTA_NAMES: Final = frozenset({"insufficient_quota"})
_MAX_REQUEST_ID_CHARS: Final = 128
_MAX_HEADER_CHARS: Final = 64


def classify(call: Answer | CallFailure, now: datetime) -> Verdict:
    """The verdict on one call. `now`, aware, is what dates in headers are measured against."""
    if isinstance(call, CallFailure):
        return _verdict_on_failure(call)
    tokens = bodies.read_result(call.body) if is_success(call) else None
    verdict = _verdict_on_failed_answer(call, now) if tokens is None else _completed(tokens)
    return msgspec.structs.replace(
        verdict,
        status_code=call.status_code,
        provider_request_id=_clean(call.headers, REQUEST_ID_HEADER, _MAX_REQUEST_ID_CHARS),
        rate_limits=_rate_limits(call.headers),
    )


def _completed(tokens: Tokens) -> Verdict:
    return Verdict(outcome=Outcome.COMPLETED, tokens=tokens)


def _verdict_on_failed_answer(answer: Answer, now: datetime) -> Verdict:
    meaning = _meaning(answer)
    asked = None
    if meaning.retry is not Retry.NEVER:
        asked = waits.asked_wait(answer.headers, now)
    return Verdict(
        outcome=meaning.outcome,
        retry=meaning.retry,
        error_code=meaning.error_code,
        is_cooldown=meaning.is_cooldown,
        asked_wait=asked.wait if asked else None,
        asked_by=asked.rule if asked else None,
    )


def _verdict_on_failure(failure: CallFailure) -> Verdict:
    """A failure whose kind says "nothing was sent", but which was, is treated as the dearer one."""
    meaning = _BY_FAILURE[failure.kind]
    if failure.was_sent and meaning.retry is Retry.WAITS:
        meaning = _UNKNOWN
    return Verdict(
        outcome=meaning.outcome,
        retry=meaning.retry,
        error_code=meaning.error_code,
        is_timeout=failure.kind is FailureKind.TIMEOUT_AFTER_SENDING,
    )


def is_success(answer: Answer) -> bool:
    """Whether the provider says that it did what it was asked."""
    return answer.status_code // 100 == 2  # noqa: PLR2004 - "2xx" is the name of the class


def _meaning(answer: Answer) -> _Meaning:
    """3xx: the base URL points elsewhere. None is followed, and a repeat would change nothing."""
    status = answer.status_code
    is_client_error = status // 100 == 4  # noqa: PLR2004 - "4xx" is the name of the class
    if is_client_error and bodies.error_names(answer.body) & _QUOTA_NAMES:
        return _NO_QUOTA
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return _REJECTED if status // 100 in (3, 4) else _UNUSABLE


def _rate_limits(headers: Mapping[str, str]) -> dict[str, str]:
    kept = ((name, _clean(headers, name, _MAX_HEADER_CHARS)) for name in RATE_LIMIT_HEADERS)
    return {name: value for name, value in kept if value is not None}


def _clean(headers: Mapping[str, str], name: str, max_chars: int) -> str | None:
    """A header's value if a database can hold it: printable ASCII of bounded length."""
    value = headers.get(name, "")
    is_clean = 0 < len(value) <= max_chars and value.isascii() and value.isprintable()
    return value if is_clean else None
