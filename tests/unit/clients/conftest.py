"""One process of Node for all examples."""

from collections.abc import Iterator

import pytest

from tests.support import node


@pytest.fixture(scope="session")
def node_signer_of_session() -> Iterator[node.NodeSigner]:
    with node.node_signer() as signer:
        yield signer
