"""One whole system and one browser for all tests of the dashboard."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, StorageState, async_playwright

from tests.browser.customer import Customer, settled
from tests.browser.house import House
from tests.support.stack import System, running_system

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One of everything. Its logs stay in pytest's folder."""
    open_hosts = {"OPEN_HOSTS": "127.0.0.1"}  # where providers of the tests are
    with running_system(tmp_path_factory.mktemp("logs"), settings=open_hosts) as started:
        yield started


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: pytest's folder unless REQRUN_ARTEFACTS names one."""
    chosen = os.environ.get("REQRUN_ARTEFACTS")
    if chosen is None:
        return tmp_path_factory.mktemp("pictures")
    Path(chosen).mkdir(parents=True, exist_ok=True)
    return Path(chosen)


@pytest.fixture(scope="package")
async def chromium() -> AsyncIterator[Browser]:
    """The distribution's. Its sandbox refuses to run as root."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.fail("Chromium is not installed: sh deploy/local/bootstrap.sh tests")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=program, args=arguments)
        yield started
        await started.close()


@pytest.fixture(scope="package")
def house(system: System, chromium: Browser, artefacts: Path) -> House:
    """All of it."""
    return House(system, chromium, artefacts)


@pytest.fixture(scope="package")
async def customer(house: House) -> Customer:
    """Somebody who has used the dashboard for a while. No test takes anything from them."""
    return await settled(house)


@pytest.fixture
def state(customer: Customer) -> StorageState:
    """Their browser's cookies."""
    return customer.state
