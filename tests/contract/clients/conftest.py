"""One process of Node for all vectors."""

from collections.abc import Iterator

import pytest

from tests.support import node


@pytest.fixture(scope="module")
def node_signer() -> Iterator[node.NodeSigner]:
    with node.node_signer() as signer:
        yield signer
