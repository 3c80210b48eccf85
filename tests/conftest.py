"""Real servers for every test that asks: started once a session, at first use."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis
from libs.common import logs
from libs.ledger import migrations
from tests.support import servers

_FAULTS: Final = Path(__file__).parent / "faults"
_ONE_SYSTEM: Final = ("tests/browser/", "tests/e2e/", "tests/integration/operator/")

# A loaded machine is no reason to call a property slow.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every fault is inflicted with nothing beside it: what follows is judged by the clock."""
    for item in items:
        if item.path.is_relative_to(_FAULTS):
            item.add_marker("alone")


class ByFileOrSystem(LoadScopeScheduling):  # type: ignore[misc]
    """A file's tests run in one process, and so do all that share a system: it starts once."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return next((folder for folder in _ONE_SYSTEM if path.startswith(folder)), path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """`--dist loadfile`, but for whole systems."""
    return ByFileOrSystem(config, log) if config.option.dist == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def _our_logs() -> None:
    """Unconfigured, the library renders every traceback with all its locals: a second each."""
    logs.configure("tests")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSql]:
    with servers.shared(PostgreSql) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMq]:
    with servers.shared(RabbitMq) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with servers.shared(Redis) as server:
        yield server


@pytest.fixture
def empty_database(postgresql_server: PostgreSql) -> Iterator[str]:
    """The address of a new, empty database, for the superuser."""
    with servers.database(postgresql_server) as address:
        yield address


@pytest.fixture(scope="session")
def ledger_template(postgresql_server: PostgreSql) -> Iterator[str]:
    """The name of a database with the ledger's schema, to copy from."""
    with servers.database(postgresql_server) as address:
        asyncio.run(migrations.upgrade(address))
        yield address.rpartition("/")[2]


@pytest.fixture
def ledger_url(postgresql_server: PostgreSql, ledger_template: str) -> Iterator[str]:
    """The address of a new, empty ledger, for the superuser."""
    with servers.database(postgresql_server, ledger_template) as address:
        yield address
