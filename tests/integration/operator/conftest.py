"""One whole system for all tests of `reqrun`, and an operator who looks after it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support import desks
from tests.support.desks import AtDesk
from tests.support.stack import System, running_system


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("logs")) as started:
        yield started


@pytest.fixture
def desk(system: System) -> AtDesk:
    return AtDesk.of(system.stack.site, REQRUN_API_KEY=system.seeded.test_key)


@pytest.fixture
def environ(system: System, tmp_path: Path) -> dict[str, str]:
    return desks.environment(system.stack.site, tmp_path)


@pytest.fixture
async def api(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {system.seeded.test_key}"}
    async with httpx2.AsyncClient(
        base_url=system.gateways[0], headers=headers, timeout=40, trust_env=False
    ) as client:
        yield client
