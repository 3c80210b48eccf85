from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.waits import (
    LONGEST_BELIEVED,
    AskedWait,
    asked_wait,
    parse_milliseconds,
    parse_reset,
    parse_retry_after,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", seconds(0)),
        ("7", seconds(7)),
        (" 7 ", seconds(7)),
        ("1.5", seconds(1.5)),
        ("604800", LONGEST_BELIEVED),
        ("604801", None),
        ("1000000000", None),
        ("1e9", None),
        ("9" * 400, None),
        ("-1", None),
        ("+1", None),
        ("", None),
        ("soon", None),
        ("NaN", None),
        ("inf", None),
        ("٣", None),
        ("Sun, 22 Nov 2026 12:00:30 GMT", seconds(30)),
        ("Sunday, 22-Nov-26 12:00:30 GMT", seconds(30)),
        ("Sun Nov 22 12:00:30 2026", seconds(30)),
        ("Sun, 22 Nov 2026 12:00:30 +0100", None),
        ("Sun, 22 Nov 2026 11:59:59 GMT", None),
        ("Sun, 22 Nov 2026 12:00:00 GMT", None),
        ("Sun, 29 Nov 2026 12:00:00 GMT", LONGEST_BELIEVED),
        ("Sun, 29 Nov 2026 12:00:01 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", None),
        ("Sun, 99 Nov 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_to_come(text: str, expected: timedelta | None) -> None:
    assert expected == parse_retry_after(text, NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", seconds(0.12)),
        ("33.5", seconds(0.0335)),
        ("604800000", LONGEST_BELIEVED),
        ("604800001", None),
        ("-5", None),
        ("12ms", None),
        ("", None),
    ],
)
def test_retry_after_ms_is_a_number(text: str, expected: timedelta | None) -> None:
    assert expected == parse_milliseconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6m5s", seconds(365)),
        ("120ms", seconds(0.12)),
        ("1s", seconds(1)),
        ("2m59.56s", seconds(179.56)),
        ("1h0m0.5s", seconds(3600.5)),
        ("1d", seconds(86_400)),
        ("500µs", seconds(0.0005)),
        ("500us", seconds(0.0005)),
        ("7.66", seconds(7.66)),
        ("8d", None),
        ("999999999999h", None),
        ("", None),
        ("s", None),
        ("-5s", None),
        ("5 s", None),
        ("5s!", None),
        ("5parsecs", None),
        ("1s" * 40, None),
        ("2026-11-22T12:00:00Z", None),
    ],
)
def test_a_reset_is_a_sum_of_units(text: str, expected: timedelta | None) -> None:
    assert expected == parse_reset(text)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, AskedWait(seconds(2), "retry-after")),
        (
            {"retry-after": "2", "retry-after-ms": "1200"},
            AskedWait(seconds(1.2), "retry-after-ms"),
        ),
        ({"retry-after": "2", "retry-after-ms": "x"}, AskedWait(seconds(2), "retry-after")),
        (
            {"retry-after": "2", "x-ratelimit-reset-requests": "6m5s"},
            AskedWait(seconds(2), "retry-after"),
        ),
        (
            {"retry-after": "1e9", "x-ratelimit-reset-requests": "6m5s"},
            AskedWait(seconds(365), "x-ratelimit-reset-requests"),
        ),
        (
            {"x-ratelimit-reset-requests": "120ms", "x-ratelimit-reset-tokens": "6s"},
            AskedWait(seconds(6), "x-ratelimit-reset-tokens"),
        ),
        (
            {
                "x-ratelimit-remaining-requests": "9999",
                "x-ratelimit-reset-requests": "8h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6s",
            },
            AskedWait(seconds(6), "x-ratelimit-reset-tokens"),
        ),
        (
            {"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "8h"},
            None,
        ),
    ],
)
def test_the_most_exact_believable_header_decides(
    headers: dict[str, str], expected: AskedWait | None
) -> None:
    assert expected == asked_wait(headers, NOW)


@given(st.text(max_size=100))
def test_no_text_is_read_as_a_wait_that_is_negative_or_endless(text: str) -> None:
    waits = (parse_milliseconds(text), parse_retry_after(text, NOW), parse_reset(text))

    assert all(wait is None or timedelta(0) <= wait <= LONGEST_BELIEVED for wait in waits)


@given(st.integers(0, 604_800))
def test_any_whole_number_of_seconds_is_read_back(number: int) -> None:
    assert parse_retry_after(str(number), NOW) == seconds(number)
    assert parse_reset(f"{number}s") == seconds(number)


@given(st.integers(1, 604_800))
def test_any_http_date_to_come_is_read_back(number: int) -> None:
    text = format_datetime(NOW + seconds(number), usegmt=True)

    assert parse_retry_after(text, NOW) == seconds(number)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_any_duration_that_openai_writes_is_read_back(h: int, m: int, s: int, ms: int) -> None:
    expected = timedelta(hours=h, minutes=m, seconds=s, milliseconds=ms)

    assert parse_reset(f"{h}h{m}m{s}s{ms}ms") == expected
