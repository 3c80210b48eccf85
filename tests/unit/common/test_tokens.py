from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from libs.common.errors import Unauthenticated
from libs.common.tokens import PublicServiceKey, ServiceTokens, TokenVerifier
from tests.support.frozen_clock import FrozenClock


def pair() -> tuple[str, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


PRIVATE, PUBLIC = pair()
KEYS = {"k1": PublicServiceKey("gateway", PUBLIC)}


def verifier(clock: FrozenClock, audience: str = "accounts") -> TokenVerifier:
    return TokenVerifier(KEYS, audience, clock)


def test_a_token_proves_its_issuer_to_its_audience() -> None:
    clock = FrozenClock()
    token = ServiceTokens("gateway", "k1", PRIVATE, clock).issue("accounts")

    assert verifier(clock).verify(token) == "gateway"


@pytest.mark.fault(85)
def test_tokens_of_both_keys_are_good_until_the_old_one_is_dropped() -> None:
    clock, (new_private, new_public) = FrozenClock(), pair()
    new_key = PublicServiceKey("gateway", new_public)
    both = TokenVerifier({**KEYS, "k2": new_key}, "accounts", clock)
    new_only = TokenVerifier({"k2": new_key}, "accounts", clock)
    old = ServiceTokens("gateway", "k1", PRIVATE, clock).issue("accounts")
    new = ServiceTokens("gateway", "k2", new_private, clock).issue("accounts")

    assert [both.verify(old), both.verify(new), new_only.verify(new)] == ["gateway"] * 3
    with pytest.raises(Unauthenticated):
        new_only.verify(old)


def test_a_token_is_kept_until_shortly_before_its_end() -> None:
    clock = FrozenClock()
    tokens = ServiceTokens("gateway", "k1", PRIVATE, clock)
    first = tokens.issue("accounts")
    clock.advance(timedelta(seconds=30))
    assert tokens.issue("accounts") == first
    clock.advance(timedelta(seconds=15))
    assert tokens.issue("accounts") != first


def test_a_token_is_no_good_for_another_audience() -> None:
    clock = FrozenClock()
    token = ServiceTokens("gateway", "k1", PRIVATE, clock).issue("billing")

    with pytest.raises(Unauthenticated):
        verifier(clock).verify(token)


@pytest.mark.parametrize("seconds", [-60, 71, 3_600])
def test_a_token_is_no_good_outside_its_minute(seconds: int) -> None:
    clock = FrozenClock()
    token = ServiceTokens("gateway", "k1", PRIVATE, clock).issue("accounts")
    clock.advance(timedelta(seconds=seconds))

    with pytest.raises(Unauthenticated):
        verifier(clock).verify(token)


def forged(**changes: object) -> dict[str, object]:
    now = int(FrozenClock().now().timestamp())
    return {"iss": "gateway", "aud": "accounts", "iat": now, "exp": now + 60} | changes


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        jwt.encode(forged(), pair()[0], "EdDSA", headers={"kid": "k1"}),
        jwt.encode(forged(), PRIVATE, "EdDSA", headers={"kid": "k2"}),
        jwt.encode(forged(), PRIVATE, "EdDSA"),
        jwt.encode(forged(iss="executor"), PRIVATE, "EdDSA", headers={"kid": "k1"}),
        jwt.encode(forged(exp=9_999_999_999), PRIVATE, "EdDSA", headers={"kid": "k1"}),
        jwt.encode({"iss": "gateway", "aud": "accounts"}, PRIVATE, "EdDSA", headers={"kid": "k1"}),
        jwt.encode(forged(), "", "none", headers={"kid": "k1"}),
        jwt.encode(forged(), "s" * 64, "HS256", headers={"kid": "k1"}),
    ],
    ids=[
        "empty", "garbage", "other-key", "unknown-kid", "no-kid", "other-issuer", "too-long",
        "no-times", "alg-none", "alg-hs256",
    ],
)  # fmt: skip
def test_a_forged_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier(FrozenClock()).verify(token)
