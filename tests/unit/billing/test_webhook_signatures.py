"""Whose webhook it is: Paddle's own vectors, its official SDK as an oracle, and every bad form."""

import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paddle_billing.Notifications import Secret as PaddleSecret
from paddle_billing.Notifications import Verifier

from libs.common.errors import Unauthenticated
from libs.common.settings import Secret
from services.billing.domain.signatures import (
    EarlyWebhookSignature,
    InvalidWebhookSignature,
    MalformedWebhookSignature,
    MissingWebhookSignature,
    StaleWebhookSignature,
    sign,
    verify,
)
from tests.support.paddle_events import SECRET, signature

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
BODY = b'{"event_id":"evt_1"}'
OLD = Secret("pdl_ntfset_the-one-before")

# tests/Unit/Notification/test_Verifier.py of PaddleHQ/paddle-python-sdk, at 48c8cc0.
VECTOR_SECRET = Secret("pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh")
VECTOR_OTHERS = [
    Secret("pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_TjIG2BXbm83HPXqNfziwe506sBEdqL/4"),
    Secret("pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_vB/yIOnTOCWIvpBadM5jzBZPHc7OmdSo"),
]
VECTOR_HASH = "d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02"
VECTOR_AT = datetime.fromtimestamp(1696195954, UTC)


def test_paddles_own_vector_is_good() -> None:
    header = f"ts=1696195954;h1=dummy;h1={VECTOR_HASH}"

    verify(header, b"hello-world", [*VECTOR_OTHERS, VECTOR_SECRET], VECTOR_AT)
    with pytest.raises(InvalidWebhookSignature):
        verify(header, b"hello-world", VECTOR_OTHERS, VECTOR_AT)


def test_letters_that_are_escaped_in_the_body_are_signed_as_they_stand_there() -> None:
    """Parsed and written anew they would be other bytes: the second of Paddle's vectors."""
    names = rb"\u00dc\u00c4\u00c5\u00e5\u00d6\u00dc\u00c4\u00c5\u00e5\u00d6"
    body = (
        b'{"data":{"id":"ctm_01hs0t94g83hs5jdw282ztqa4z","name":"' + names + b'","email":'
        b'"blackhole+verification1@paddle.com","locale":"en","status":"active","created_at":'
        b'"2024-03-15T10:24:48.136Z","updated_at":"2024-03-15T10:24:48.136Z","custom_data":null,'
        b'"import_meta":null,"marketing_consent":false},"event_id":"evt_01hs0t94tjvtv62azjmkbeysz7",'
        b'"event_type":"customer.created","occurred_at":"2024-03-15T10:24:48.466759Z",'
        b'"notification_id":"ntf_01hs0t94ws0ay8keh5t4rq70ht"}'
    )
    secret = Secret("pdl_ntfset_01hs0t3tw21j988db1pam5xg8m_GrOWLNef+vmtjJYq4mSnHNzvc8uWoJ1I")
    header = "ts=1710498288;h1=38219b3ba1578184e625c29d201a27cd25bd69e2ec9c3ab87dcb90d87ff73a41"

    verify(header, body, [secret], datetime.fromtimestamp(1710498288, UTC))


def good(*secrets: Secret, at: datetime = NOW, body: bytes = BODY) -> str:
    return signature(body, at, *secrets)


@pytest.mark.parametrize(
    "header",
    [
        good(),
        good(OLD, SECRET),
        good(SECRET, OLD),
        good() + ";h2=" + "0" * 64,
        "v=2;" + good() + ";nonsense;=;a=b=c",
        good().replace(";", " ; "),
        good() + ";h1=",
        good(at=NOW - timedelta(seconds=30)),
        good(at=NOW + timedelta(seconds=30)),
    ],
    ids=["one", "second", "first", "h2", "parts", "spaces", "empty", "past edge", "future edge"],
)
def test_is_good(header: str) -> None:
    verify(header, BODY, [SECRET], NOW)


def test_either_secret_is_good_while_one_replaces_the_other() -> None:
    for secret in (SECRET, OLD):
        verify(good(secret), BODY, [SECRET, OLD], NOW)


STAMP = good().partition(";")[0]
HASH = good().partition(";")[2]


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (None, MissingWebhookSignature),
        ("", MissingWebhookSignature),
        ("nonsense", MalformedWebhookSignature),
        (STAMP, MalformedWebhookSignature),
        (f"{STAMP};h1=", MalformedWebhookSignature),
        (HASH, MalformedWebhookSignature),
        (f"{STAMP};{STAMP};{HASH}", MalformedWebhookSignature),
        (f"ts=;{HASH}", MalformedWebhookSignature),
        (f"ts=-5;{HASH}", MalformedWebhookSignature),
        (f"ts=1e9;{HASH}", MalformedWebhookSignature),
        (f"ts=٣;{HASH}", MalformedWebhookSignature),  # a digit, but none of ours
        (f"ts={'9' * 400};{HASH}", MalformedWebhookSignature),
        (f"TS=1;H1=2;{HASH}", MalformedWebhookSignature),
        (good(at=NOW - timedelta(seconds=31)), StaleWebhookSignature),
        (good(at=NOW + timedelta(seconds=31)), EarlyWebhookSignature),
        (good(OLD), InvalidWebhookSignature),
        (good(body=b"{}"), InvalidWebhookSignature),
        (f"{STAMP};h1={HASH[3:].upper()}", InvalidWebhookSignature),
        (f"{STAMP};h1=ä", InvalidWebhookSignature),
        (f"ts=1{STAMP[3:]};{HASH}", EarlyWebhookSignature),
        (f"{STAMP};h2={HASH[3:]};h1=0", InvalidWebhookSignature),
    ],
    ids=str,
)
def test_is_bad(header: str | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        verify(header, BODY, [SECRET], NOW)


def test_every_cause_has_a_code_of_its_own() -> None:
    errors = [
        MissingWebhookSignature, MalformedWebhookSignature, StaleWebhookSignature,
        EarlyWebhookSignature, InvalidWebhookSignature,
    ]  # fmt: skip

    assert len({error.code for error in errors}) == len(errors)


def paddle_says(header: str, body: bytes, secrets: list[Secret]) -> bool:
    """Its verifier, the clock aside: it has one of its own."""
    request = SimpleNamespace(headers={"Paddle-Signature": header}, body=body)
    known = [PaddleSecret(secret.reveal()) for secret in secrets]
    logging.getLogger("paddle_billing").setLevel(logging.CRITICAL + 1)
    try:
        return bool(Verifier(0).verify(cast("Any", request), known))
    except (ConnectionRefusedError, ValueError):
        return False


def we_say(header: str, body: bytes, secrets: list[Secret], now: datetime = NOW) -> bool:
    try:
        verify(header, body, secrets, now)
    except Unauthenticated:
        return False
    return True


SECRETS = st.lists(st.text("abc_+/", min_size=1).map(Secret), min_size=1, max_size=3)
BODIES = st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)


@given(secrets=SECRETS, chosen=SECRETS, body=BODIES, noise=st.lists(st.text("0123456789abcdef")))
def test_what_is_signed_is_judged_as_by_the_official_sdk(
    secrets: list[Secret], chosen: list[Secret], body: bytes, noise: list[str]
) -> None:
    header = ";".join([signature(body, NOW, *chosen), *(f"h1={one}" for one in noise)])

    assert we_say(header, body, secrets) == paddle_says(header, body, secrets)


@given(st.data())
def test_one_changed_character_of_header_or_body_is_judged_alike(data: st.DataObject) -> None:
    body = data.draw(BODIES)
    header = list(signature(body, NOW))
    place = data.draw(st.integers(len(STAMP), len(header) - 1))
    header[place] = data.draw(st.sampled_from("0123456789abcdefgh1"))
    changed = "".join(header)

    assert we_say(changed, body, [SECRET]) == paddle_says(changed, body, [SECRET])


@given(st.text(), BODIES)
def test_whatever_stands_in_the_header_ends_in_one_of_our_errors(header: str, body: bytes) -> None:
    assert not we_say(header, body, [SECRET])


def test_a_signature_names_the_moment_it_was_made_at() -> None:
    seconds = str(int(NOW.timestamp()))

    assert good() == f"ts={seconds};h1={sign(SECRET, seconds.encode() + b':' + BODY)}"
