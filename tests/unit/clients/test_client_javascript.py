"""The JavaScript client: Node's own test runner, and its signer against Python's."""

import subprocess
from datetime import datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reqrun import SigningAuth
from tests.support import node

TESTS = Path(__file__).with_name("reqrun.test.mjs")
MOMENT = "2026-11-22T12:00:00.123Z"
NONCE = "0" * 32
WHITE = " \t\n\v\f\r"


def test_its_own_tests_pass() -> None:
    done = subprocess.run(  # noqa: S603  the command is ours
        [node.program(), "--test", "--test-reporter=tap", TESTS],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout


@given(body=st.text(), secret=st.text(min_size=1).filter(lambda text: text.strip(WHITE)))
@settings(max_examples=300)
def test_both_languages_sign_any_text_alike(
    body: str, secret: str, node_signer_of_session: node.NodeSigner
) -> None:
    auth = SigningAuth(secret, clock=lambda: datetime.fromisoformat(MOMENT), nonce=lambda: NONCE)
    wish = {"method": "post", "path": "/v1/chat/completions", "body": body, "secret": secret}

    made = node_signer_of_session.sign({**wish, "timestamp": MOMENT, "nonce": NONCE})

    assert made == auth.headers("POST", "/v1/chat/completions", body.encode())
