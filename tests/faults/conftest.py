"""One whole system for all fault tests, made well again before each of them."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from tests.support import judging
from tests.support.checker_sources import drained
from tests.support.checker_summary import Summary
from tests.support.client import CarefulClient
from tests.support.judging import Case
from tests.support.stack import System, running_system
from tests.support.stack_faults import COUNTS

DRAIN_SECONDS = 60.0


@pytest.fixture(scope="package")
def battered_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two gateways, two executors, one of everything else. Its logs stay in pytest's folder."""
    with running_system(tmp_path_factory.mktemp("logs"), COUNTS) as started:
        yield started


@pytest.fixture
async def system(battered_system: System) -> System:
    """It is whole, whatever the test before has left of it, and has nothing to do."""
    await battered_system.revive()
    await drained(battered_system, DRAIN_SECONDS)
    return battered_system


@pytest.fixture
async def client(system: System) -> AsyncIterator[CarefulClient]:
    """For the demo project's live and test keys."""
    keys = {"live": system.seeded.live_key, "test": system.seeded.test_key}
    async with CarefulClient(system.gateways, keys) as careful:
        yield careful


Tell = Callable[[Summary], None]


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Keeps a run's figures for the report."""
    return lambda summary: record_property("summary", msgspec.to_builtins(summary))


class Judge:
    """The checker over all that happened since a moment; see Case for what may be given."""

    def __init__(self, system: System, client: CarefulClient, tell: Tell, what: str) -> None:
        self._system, self._client, self._tell, self._what = system, client, tell, what

    async def __call__(self, since: datetime, **given: Any) -> Summary:
        """Wait until all is final, read it all back, and assert that no promise is broken."""
        case = Case(what=self._what, since=since, **given)
        judged = await judging.judge(self._system, self._client, case)
        self._tell(judged.summary)
        assert judged.violations == [], judged.summary
        return judged.summary


@pytest.fixture
def judge(
    request: pytest.FixtureRequest, system: System, client: CarefulClient, tell: Tell
) -> Judge:
    return Judge(system, client, tell, request.node.name)
