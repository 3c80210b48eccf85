"""Signing in Python: what the contract says, whatever the body."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reqrun import SigningAuth, UnsignableBody

SECRET = "a signing secret"
MOMENT = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)


def auth() -> SigningAuth:
    return SigningAuth(SECRET, clock=lambda: MOMENT, nonce=lambda: "0" * 32)


@given(body=st.text() | st.text().map(lambda text: f'{{"content":"{text}"}}'))
def test_any_text_is_signed_over_its_utf8_bytes(body: str) -> None:
    signed = auth()(httpx2.Request("POST", "https://a.test/v1/chat/completions", content=body))

    digest = hashlib.sha256(body.encode()).hexdigest()
    text = f"POST\n/v1/chat/completions\n2026-11-22T12:00:00.123Z\n{'0' * 32}\n{digest}"
    expected = hmac.digest(SECRET.encode(), text.encode(), "sha256").hex()
    assert signed.headers["x-reqrun-signature"] == f"v1={expected}"


def test_the_query_is_not_signed() -> None:
    plain = auth()(httpx.Request("GET", "https://a.test/v1/requests/rr_1"))
    asking = auth()(httpx.Request("GET", "https://a.test/v1/requests/rr_1?wait=5"))

    assert plain.headers["X-ReqRun-Signature"] == asking.headers["X-ReqRun-Signature"]


def test_white_space_around_the_secret_does_not_count() -> None:
    padded = SigningAuth(f" {SECRET}\n", clock=lambda: MOMENT, nonce=lambda: "0" * 32)

    assert padded.headers("GET", "/v1/models") == auth().headers("GET", "/v1/models")


@pytest.mark.parametrize("secret", ["", " \n"])
def test_an_empty_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        SigningAuth(secret)


def test_the_timestamp_is_utc_in_milliseconds_whatever_the_clocks_zone() -> None:
    in_tallinn = MOMENT.astimezone(timezone(timedelta(hours=2)))
    made = SigningAuth(SECRET, clock=lambda: in_tallinn).headers("GET", "/v1/models")

    assert made["X-ReqRun-Timestamp"] == "2026-11-22T12:00:00.123Z"


def test_every_call_has_a_nonce_of_its_own_and_the_time_it_was_made() -> None:
    made = [SigningAuth(SECRET).headers("GET", "/v1/models") for _ in range(1000)]

    nonces = {one["X-ReqRun-Nonce"] for one in made}
    assert len(nonces) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", nonce) for nonce in nonces)
    signed_at = datetime.fromisoformat(made[-1]["X-ReqRun-Timestamp"])
    assert abs(datetime.now(UTC) - signed_at) < timedelta(seconds=60)


def chunks() -> Iterator[bytes]:
    yield b"{}"


def test_a_stream_or_a_form_cannot_be_signed_and_says_so() -> None:
    streamed = httpx2.Request("POST", "https://a.test/", content=chunks())
    legacy = httpx.Request("POST", "https://a.test/", content=chunks())
    form = httpx2.Request("POST", "https://a.test/", files={"file": b"text"})

    for request in (streamed, form):
        with pytest.raises(UnsignableBody, match="bytes"):
            auth()(request)
    with pytest.raises(UnsignableBody, match="bytes"):
        auth()(legacy)


def test_nothing_that_is_printed_shows_the_secret() -> None:
    assert SECRET not in f"{auth()!r} {auth()}"
