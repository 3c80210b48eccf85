"""A server that only well-signed calls can please."""

from collections.abc import Iterator

import pytest

from tests.support.signing_server import SigningServer, signing_server


@pytest.fixture
def server() -> Iterator[SigningServer]:
    with signing_server() as started:
        yield started
