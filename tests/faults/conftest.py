"""One whole system for all fault tests, made well again before each of them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.client import CarefulClient
from tests.support.stack import System, running_system
from tests.support.stack_faults import COUNTS


@pytest.fixture(scope="session")
def battered_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two gateways, two executors, one of everything else. Its logs stay in pytest's folder."""
    with running_system(tmp_path_factory.mktemp("logs"), COUNTS) as started:
        yield started


@pytest.fixture
async def system(battered_system: System) -> System:
    """It is whole, whatever the test before has left of it."""
    await battered_system.revive()
    return battered_system


@pytest.fixture
async def client(system: System) -> AsyncIterator[CarefulClient]:
    """For the demo project's live and test keys."""
    keys = {"live": system.seeded.live_key, "test": system.seeded.test_key}
    async with CarefulClient(system.gateways, keys) as careful:
        yield careful
