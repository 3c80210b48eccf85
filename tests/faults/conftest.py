"""A whole system for each module of fault tests, and what a run of load under faults is."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.client import CarefulClient
from tests.support.stack import System, running_system
from tests.support.stack_faults import COUNTS


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two gateways, two executors, one of everything else. Its logs stay in pytest's folder."""
    with running_system(_logs(tmp_path_factory), COUNTS) as started:
        yield started


@pytest.fixture
async def client(system: System) -> AsyncIterator[CarefulClient]:
    keys = {"live": system.seeded.live_key, "test": system.seeded.test_key}
    async with CarefulClient(system.gateways, keys) as careful:
        yield careful


def _logs(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("logs")
