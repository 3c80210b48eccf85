"""The published test vectors, byte for byte, by every signer of ours."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from reqrun import SigningAuth
from tests.support.node import NodeSigner

FILE = Path(__file__).with_name("signing_vectors.json")
GOLDEN: dict[str, Any] = json.loads(FILE.read_text())
VECTORS: list[dict[str, str]] = GOLDEN["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["timestamp"])
def test_python_signs_as_published(vector: dict[str, str]) -> None:
    auth = SigningAuth(
        GOLDEN["secret"],
        clock=lambda: datetime.fromisoformat(vector["timestamp"]),
        nonce=lambda: vector["nonce"],
    )

    made = auth.headers(vector["method"], vector["path"], vector["body"].encode())

    assert made == {
        "X-ReqRun-Timestamp": vector["timestamp"],
        "X-ReqRun-Nonce": vector["nonce"],
        "X-ReqRun-Signature": vector["signature"],
    }


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["timestamp"])
def test_javascript_signs_as_published(vector: dict[str, str], node_signer: NodeSigner) -> None:
    made = node_signer.sign({**vector, "secret": GOLDEN["secret"]})

    assert made["X-ReqRun-Signature"] == vector["signature"]
