"""Signed calls: what was signed passes, and nothing near it."""

import hashlib
import hmac
import string
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.gateway.domain import signatures
from services.gateway.domain.errors import InvalidSignature, MissingSignature, StaleTimestamp
from services.gateway.domain.signatures import WINDOW

SECRET = "test-signing-secret"
NOW = datetime(2026, 5, 6, 13, 52, 6, 123_000, tzinfo=UTC)
EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class SignedCall(NamedTuple):
    """All that a signature depends on, as it would come over the wire."""

    method: str = "POST"
    path: str = "/v1/chat/completions"
    timestamp: str = "2026-05-06T13:52:06.123Z"
    nonce: str = "0123456789abcdef0123456789abcdef"
    body: bytes = b'{"model":"gpt-5-nano","messages":[{"role":"user","content":"Hello"}]}'
    secret: bytes = SECRET.encode()


def sign(call: SignedCall) -> str:
    """As published, written here once more: a signer must not be judged by itself."""
    body_hash = hashlib.sha256(call.body).hexdigest()
    text = f"{call.method}\n{call.path}\n{call.timestamp}\n{call.nonce}\n{body_hash}"
    return "v1=" + hmac.new(call.secret, text.encode(), hashlib.sha256).hexdigest()


def check(call: SignedCall, signature: str) -> None:
    """As the entrance does, but for the time."""
    found = signatures.read(call.timestamp, call.nonce, signature)
    signatures.verify(found, call.secret, call.method, call.path.encode(), call.body)


VECTORS = [
    (
        SignedCall(
            body=b'{"model":"gpt-5-nano","messages":[{"role":"user","content":"Hello"}],'
            b'"wait":true,"idempotency_key":"hello-001"}'
        ),
        "v1=50951a9e37ad3244eca5514a1e7a193f7f71d2fda8c3c3073bf42becf3c0ee46",
    ),
    (
        SignedCall(
            "GET",
            "/v1/requests/rr_abc123",
            "2026-05-06T13:52:07.456Z",
            "fedcba9876543210fedcba9876543210",
            b"",
        ),
        "v1=26c9b83c21f6f64b82ecad83675582a5b737c0a9c5a67d87bfa67beebb903638",
    ),
    (
        SignedCall(
            timestamp="2026-05-06T13:52:08.000Z",
            nonce="00112233445566778899aabbccddeeff",
            body='{"model":"gpt-5-nano","messages":[{"role":"user","content":"é ☃"}],'
            '"wait":false}'.encode(),
        ),
        "v1=aa5fce6605513a0f488cc5c4cfb34815fa91703c36f333e07f0101ca4006c012",
    ),
]


@pytest.mark.parametrize(("call", "signature"), VECTORS, ids=["post", "get", "utf-8"])
def test_the_published_vectors_pass(call: SignedCall, signature: str) -> None:
    assert sign(call) == signature
    check(call, signature)


def test_no_body_is_signed_as_the_empty_one() -> None:
    assert hashlib.sha256(b"").hexdigest() == EMPTY_HASH
    call = SignedCall("GET", "/v1/requests", body=b"")
    check(call, sign(call))


def flipped(value: bytes, bit: int) -> bytes:
    """`value` with one of its bits turned."""
    changed = bytearray(value)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


def refuses(call: SignedCall, signature: str) -> None:
    with pytest.raises((InvalidSignature, MissingSignature)):
        check(call, signature)


@given(st.integers(0, 10_000))
def test_one_turned_bit_of_the_body_is_refused(bit: int) -> None:
    call = SignedCall()

    refuses(call._replace(body=flipped(call.body, bit)), sign(call))


@given(st.integers(0, 10_000))
def test_one_turned_bit_of_the_secret_is_refused(bit: int) -> None:
    call = SignedCall()

    refuses(call._replace(secret=flipped(call.secret, bit)), sign(call))


@given(st.integers(0, 10_000))
def test_one_turned_bit_of_the_signature_is_refused(bit: int) -> None:
    call = SignedCall()

    refuses(call, flipped(sign(call).encode(), bit).decode("latin-1"))


@pytest.mark.parametrize("field", ["method", "path", "timestamp", "nonce"])
@given(bit=st.integers(0, 10_000))
def test_one_turned_bit_of_each_signed_text_is_refused(field: str, bit: int) -> None:
    call = SignedCall()
    changed = flipped(getattr(call, field).encode(), bit).decode("latin-1")

    refuses(call._replace(**{field: changed}), sign(call))  # type: ignore[arg-type]  # a text


@pytest.mark.parametrize("field", ["method", "path", "timestamp", "nonce", "body", "secret"])
@given(place=st.integers(0, 200), letter=st.sampled_from("aZ0 /\n-é"))
def test_one_letter_more_in_any_part_is_refused(field: str, place: int, letter: str) -> None:
    call = SignedCall()
    value = getattr(call, field)
    more = letter.encode() if isinstance(value, bytes) else letter

    refuses(call._replace(**{field: value[:place] + more + value[place:]}), sign(call))


@pytest.mark.parametrize("field", ["method", "path", "timestamp", "nonce", "body", "secret"])
@given(place=st.integers(0, 2))
def test_one_letter_less_in_any_part_is_refused(field: str, place: int) -> None:
    call = SignedCall()
    value = getattr(call, field)

    refuses(call._replace(**{field: value[:place] + value[place + 1 :]}), sign(call))


@pytest.mark.parametrize("length", [1, 4, 20])
def test_letters_that_move_from_one_part_into_the_next_are_refused(length: int) -> None:
    call = SignedCall(nonce="a" * 64)
    moved = call._replace(path=call.path[:-length], timestamp=call.path[-length:] + call.timestamp)

    refuses(moved, sign(call))
    refuses(moved, sign(moved))  # as a timestamp it is none


@given(method=st.sampled_from(["GET", "POST", "DELETE"]), body=st.binary(), secret=st.binary())
def test_whatever_was_signed_passes(method: str, body: bytes, secret: bytes) -> None:
    call = SignedCall(method=method, body=body, secret=secret)

    check(call, sign(call))


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-05-06T13:52:06Z", NOW.replace(microsecond=0)),
        ("2026-05-06T13:52:06.123Z", NOW),
        ("2026-05-06T13:52:06.123456+00:00", NOW.replace(microsecond=123_456)),
        ("2026-05-06T13:52:06+00:00", NOW.replace(microsecond=0)),
        ("2026-05-06T13:52:06.1Z", NOW.replace(microsecond=100_000)),
        ("2026-05-06T13:52:06.123456789Z", NOW.replace(microsecond=123_456)),
    ],
)
def test_the_timestamps_that_clients_send_are_read(timestamp: str, expected: datetime) -> None:
    call = SignedCall(timestamp=timestamp)

    found = signatures.read(timestamp, call.nonce, sign(call))

    assert found.signed_at == expected
    check(call, sign(call))


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "now",
        "1778075526",
        "2026-05-06",
        "2026-05-06 13:52:06Z",
        "2026-05-06T13:52:06",
        "2026-05-06T13:52:06.Z",
        "2026-05-06T13:52:06.1234567890Z",
        "2026-05-06T15:52:06+02:00",
        "2026-05-06T13:52:06-00:00",
        "2026-02-30T13:52:06Z",
        "2026-05-06T24:00:00Z",
        "2026-05-06T13:52:60Z",
        "0000-01-01T00:00:00Z",
        "2026-05-06T13:52:06Z\n",
        " 2026-05-06T13:52:06Z",
        "٢٠٢٦-05-06T13:52:06Z",
        "2026-05-06T13:52:06Z, 2026-05-06T13:52:06Z",
    ],
)
def test_a_timestamp_that_is_none_is_refused_however_well_it_is_signed(timestamp: str) -> None:
    call = SignedCall(timestamp=timestamp)

    refuses(call, sign(call))


MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("away", "is_fresh"),
    [
        (timedelta(), True),
        (WINDOW, True),
        (-WINDOW, True),
        (WINDOW - MICROSECOND, True),
        (WINDOW + MICROSECOND, False),
        (-WINDOW - MICROSECOND, False),
        (timedelta(days=1), False),
        (-timedelta(days=1), False),
    ],
)
def test_five_minutes_either_way_are_taken_and_no_more(away: timedelta, *, is_fresh: bool) -> None:
    call = SignedCall()
    found = signatures.read(call.timestamp, call.nonce, sign(call))

    if is_fresh:
        signatures.check_time(found, NOW + away)
    else:
        with pytest.raises(StaleTimestamp, match="300 seconds"):
            signatures.check_time(found, NOW + away)


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime.max.replace(tzinfo=UTC))
@example(datetime.min.replace(tzinfo=UTC))
def test_no_moment_is_too_far_away_to_be_judged(moment: datetime) -> None:
    call = SignedCall(timestamp=moment.isoformat())
    found = signatures.read(call.timestamp, call.nonce, sign(call))

    assert found.signed_at == moment
    with suppress(StaleTimestamp):
        signatures.check_time(found, NOW)


VISIBLE = "".join(letter for letter in string.printable if letter > " " and letter != ",")


@given(st.text(VISIBLE, min_size=16, max_size=128))
@example("!" * 16)
@example("~" * 128)
def test_a_nonce_of_16_to_128_visible_letters_is_taken(nonce: str) -> None:
    call = SignedCall(nonce=nonce)

    check(call, sign(call))


@pytest.mark.parametrize(
    "nonce",
    [
        "",
        "a" * 15,
        "a" * 129,
        "a" * 16 + " ",
        "a" * 16 + "\n",
        "a" * 16 + ",",
        "0123456789abcdef, fedcba9876543210",
        "é" * 16,
        "a" * 16 + "\x7f",
        "a" * 16 + "\0",
    ],
)
def test_any_other_nonce_is_refused_however_well_it_is_signed(nonce: str) -> None:
    call = SignedCall(nonce=nonce)

    refuses(call, sign(call))


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda good: good.removeprefix("v1="),
        lambda good: good.replace("v1=", "v2="),
        lambda good: good.replace("v1=", "v1:"),
        lambda good: good + "\n",
        lambda good: " " + good,
        lambda good: good + "0",
        lambda good: good[:-1],
        lambda good: f"{good}, {good}",
        lambda good: good[:-1] + "é",
    ],
    ids=range(10),
)
def test_a_signature_must_be_written_to_the_letter(change: object) -> None:
    call = SignedCall()

    refuses(call, change(sign(call)))  # type: ignore[operator]  # each is a function of a text


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_signature_needs_all_three_headers(missing: int) -> None:
    call = SignedCall()
    headers: list[str | None] = [call.timestamp, call.nonce, sign(call)]
    headers[missing] = None

    with pytest.raises(MissingSignature):
        signatures.read(*headers)


LATIN = st.text(st.characters(max_codepoint=255), max_size=140) | st.none()
NEARLY = (
    st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)", fullmatch=True) | LATIN
)
HEX = st.text("0123456789abcdefABCDEF", min_size=62, max_size=66).map("v1={}".format) | LATIN


@given(NEARLY, LATIN, HEX, st.binary())
def test_any_headers_at_all_end_in_an_error_of_ours(
    timestamp: str | None, nonce: str | None, signature: str | None, body: bytes
) -> None:
    with suppress(MissingSignature, InvalidSignature, StaleTimestamp):
        found = signatures.read(timestamp, nonce, signature)
        signatures.check_time(found, NOW)
        signatures.verify(found, SECRET.encode(), "POST", b"/v1/\xff", body)
        pytest.fail("a signature out of thin air passed")
