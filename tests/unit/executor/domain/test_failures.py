"""The tables of docs/request-lifecycle.md, Retries, row by row."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.ledger.states import Outcome
from services.executor.domain.bodies import Tokens
from services.executor.domain.calls import (
    RATE_LIMIT_HEADERS,
    USED_HEADERS,
    Answer,
    CallFailure,
    FailureKind,
)
from services.executor.domain.failures import ErrorCode, Retry, Verdict, classify

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

WAITS = (Outcome.TRANSIENT, Retry.WAITS)
COUNTED = (Outcome.TRANSIENT, Retry.COUNTED)
UNKNOWN = (Outcome.AMBIGUOUS, Retry.COUNTED)
NEVER = (Outcome.PERMANENT, Retry.NEVER)

OK_BODY = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}'
QUOTA_BODY = b'{"error":{"message":"no","type":"insufficient_quota","code":"insufficient_quota"}}'


def answer(status_code: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status_code, {name.replace("_", "-"): v for name, v in headers.items()}, body)


def essence(verdict: Verdict) -> tuple[Outcome, Retry, ErrorCode | None]:
    return verdict.outcome, verdict.retry, verdict.error_code


@pytest.mark.fault(54, 60)
@pytest.mark.parametrize(
    ("status_code", "expected"),
    [
        (200, (*COUNTED, "provider_unavailable")),  # 2xx without a JSON object
        (204, (*COUNTED, "provider_unavailable")),
        (301, (*NEVER, "provider_rejected")),
        (302, (*NEVER, "provider_rejected")),
        (400, (*NEVER, "provider_rejected")),
        (401, (*NEVER, "provider_auth_failed")),
        (402, (*NEVER, "provider_quota_exhausted")),
        (403, (*NEVER, "provider_auth_failed")),
        (404, (*NEVER, "provider_rejected")),
        (405, (*NEVER, "provider_rejected")),
        (408, (*COUNTED, "provider_unavailable")),
        (409, (*COUNTED, "provider_unavailable")),
        (413, (*NEVER, "provider_rejected")),
        (415, (*NEVER, "provider_rejected")),
        (418, (*NEVER, "provider_rejected")),
        (422, (*NEVER, "provider_rejected")),
        (425, (*COUNTED, "provider_unavailable")),
        (429, (*WAITS, "provider_rate_limited")),
        (499, (*NEVER, "provider_rejected")),
        (500, (*COUNTED, "provider_unavailable")),
        (502, (*COUNTED, "provider_unavailable")),
        (503, (*WAITS, "provider_unavailable")),
        (504, (*COUNTED, "provider_unavailable")),
        (524, (*COUNTED, "provider_unavailable")),
        (529, (*WAITS, "provider_unavailable")),
        (599, (*COUNTED, "provider_unavailable")),
        (101, (*COUNTED, "provider_unavailable")),
        (999, (*COUNTED, "provider_unavailable")),
    ],
)
def test_every_status_has_its_class_and_code(
    status_code: int, expected: tuple[Outcome, Retry, str]
) -> None:
    verdict = classify(answer(status_code), NOW)

    assert expected == essence(verdict)
    assert verdict.status_code == status_code


@pytest.mark.parametrize(
    ("kind", "was_sent", "expected"),
    [
        (FailureKind.BAD_URL, False, (*NEVER, "no_provider_connection")),
        (FailureKind.BAD_KEY, False, (*NEVER, "provider_auth_failed")),
        (FailureKind.BLOCKED_ADDRESS, False, (*NEVER, "no_provider_connection")),
        (FailureKind.DNS, False, (*WAITS, "provider_unavailable")),
        (FailureKind.REFUSED, False, (*WAITS, "provider_unavailable")),
        (FailureKind.TLS, False, (*WAITS, "provider_unavailable")),
        (FailureKind.CONNECT_TIMEOUT, False, (*WAITS, "provider_unavailable")),
        (FailureKind.TIMEOUT_AFTER_SENDING, True, (*UNKNOWN, "provider_timeout")),
        (FailureKind.CUT, True, (*UNKNOWN, "provider_unavailable")),
        (FailureKind.TOO_LARGE, True, (*NEVER, "provider_rejected")),
        # What was sent may have been paid, whatever it is called.
        (FailureKind.REFUSED, True, (*UNKNOWN, "provider_unavailable")),
    ],
)
def test_every_failure_has_its_class_and_code(
    kind: FailureKind, was_sent: bool, expected: tuple[Outcome, Retry, str]
) -> None:
    assert expected == essence(classify(CallFailure(kind, was_sent), NOW))


def test_no_kind_of_failure_is_forgotten() -> None:
    for kind in FailureKind:
        assert classify(CallFailure(kind, was_sent=True), NOW).error_code


def test_only_a_timeout_after_sending_counts_as_a_timeout() -> None:
    timeouts = [k for k in FailureKind if classify(CallFailure(k, was_sent=True), NOW).is_timeout]

    assert timeouts == [FailureKind.TIMEOUT_AFTER_SENDING]


@pytest.mark.parametrize("status_code", [429, 400, 403])
def test_an_exhausted_quota_is_permanent_whatever_its_status(status_code: int) -> None:
    verdict = classify(answer(status_code, QUOTA_BODY, retry_after="5"), NOW)

    assert essence(verdict) == (*NEVER, "provider_quota_exhausted")
    assert verdict.asked_wait is None
    assert not verdict.is_cooldown


def test_the_word_quota_in_a_server_error_is_not_believed() -> None:
    assert classify(answer(500, QUOTA_BODY), NOW).retry is Retry.COUNTED


def test_only_429_503_and_529_cool_the_connection_down() -> None:
    cooling = [status for status in range(100, 600) if classify(answer(status), NOW).is_cooldown]

    assert cooling == [429, 503, 529]


def test_a_completed_answer_has_its_tokens_and_no_error() -> None:
    verdict = classify(answer(200, OK_BODY, x_request_id="req_1", retry_after="9"), NOW)

    assert essence(verdict) == (Outcome.COMPLETED, Retry.NEVER, None)
    assert verdict.tokens == Tokens(3, 4, 7)
    assert verdict.provider_request_id == "req_1"
    assert verdict.asked_wait is None


def test_the_wait_and_the_header_that_asked_for_it_are_kept() -> None:
    verdict = classify(answer(503, retry_after="7"), NOW)

    assert (verdict.asked_wait, verdict.asked_by) == (timedelta(seconds=7), "retry-after")


def test_a_wait_asked_for_with_a_permanent_failure_is_ignored() -> None:
    assert classify(answer(400, retry_after="7"), NOW).asked_wait is None


def test_rate_limit_headers_are_kept_and_others_are_not() -> None:
    headers = {"x-ratelimit-limit-requests": "10", "retry-after": "1", "set-cookie": "a=b"}

    verdict = classify(Answer(429, headers, b""), NOW)

    assert verdict.rate_limits == {"x-ratelimit-limit-requests": "10", "retry-after": "1"}


@pytest.mark.parametrize("value", ["", "x" * 129, "a\x00b", "a\nb", "a\ud800", "ä", "\x7f"])
def test_a_header_that_a_database_cannot_hold_is_dropped(value: str) -> None:
    headers = dict.fromkeys(USED_HEADERS, value)

    verdict = classify(Answer(429, headers, b""), NOW)

    assert verdict.provider_request_id is None
    assert verdict.rate_limits == {}


@given(
    status_code=st.integers(100, 999),
    headers=st.dictionaries(st.sampled_from(sorted(USED_HEADERS)), st.text(max_size=80)),
    body=st.binary(max_size=200),
)
def test_a_verdict_is_always_reached_and_always_fit_for_the_ledger(
    status_code: int, headers: dict[str, str], body: bytes
) -> None:
    verdict = classify(Answer(status_code, headers, body), NOW)

    assert (verdict.error_code is None) == (verdict.outcome is Outcome.COMPLETED)
    assert (verdict.asked_wait is None) == (verdict.asked_by is None)
    assert set(verdict.rate_limits) <= set(RATE_LIMIT_HEADERS)
    kept = [*verdict.rate_limits.values(), verdict.provider_request_id or ""]
    assert all(value.isascii() and len(value) <= 128 for value in kept)
    msgspec.json.encode(verdict)
