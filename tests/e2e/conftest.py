"""One whole system for all end-to-end tests, and a plain HTTP client for its public API."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from tests.support.collector import Collector
from tests.support.collector import collector as listening
from tests.support.stack import System, running_system


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Where the system's spans go."""
    with listening() as kept:
        yield kept


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[System]:
    """One of everything, all of it traced. Its logs stay in pytest's folder."""
    traced = {"TRACES_URL": collector.url, "TRACES_RATIO": "1"}
    with running_system(tmp_path_factory.mktemp("logs"), settings=traced) as started:
        yield started


@pytest.fixture
async def api(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    """The public API as the demo project's live key sees it."""
    headers = {"authorization": f"Bearer {system.seeded.live_key}"}
    async with httpx2.AsyncClient(
        base_url=system.gateways[0], headers=headers, timeout=40, trust_env=False
    ) as client:
        yield client
