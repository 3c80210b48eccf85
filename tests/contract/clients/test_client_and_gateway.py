"""What our signer sends is what the gateway's own check takes, and nothing near it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reqrun import SigningAuth
from services.gateway.domain import signatures
from services.gateway.domain.errors import InvalidSignature
from services.gateway.domain.signatures import Signature

SECRET = "a signing secret"
PATH = "/v1/chat/completions"


def signed(body: bytes) -> Signature:
    made = SigningAuth(SECRET).headers("POST", PATH, body)
    signature = signatures.read(*made.values())
    signatures.check_time(signature, datetime.now(UTC))
    return signature


@given(st.binary())
def test_the_gateway_takes_what_the_client_signs(body: bytes) -> None:
    signatures.verify(signed(body), SECRET.encode(), "POST", PATH.encode(), body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", PATH, b"{}"), ("POST", f"{PATH}/", b"{}"), ("POST", PATH, b"{ }")],
)
def test_the_gateway_refuses_what_was_changed(method: str, path: str, body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        signatures.verify(signed(b"{}"), SECRET.encode(), method, path.encode(), body)
