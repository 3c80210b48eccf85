"""From a base backup and the log of changes: all there was, or all there was before a mistake."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from deploy.local.servers.postgresql import PostgreSql
from tests.support.backups import ChangeLog
from tests.support.servers import folder_for_servers, running


@pytest.fixture
def server() -> Iterator[PostgreSql]:
    with running(PostgreSql) as started:
        yield started


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_for_servers() as made:
        yield made


@pytest.mark.parametrize("is_mistaken", [True, False], ids=["before the mistake", "all"])
def test_what_was_acknowledged_is_there_and_a_mistake_is_not(
    server: PostgreSql, folder: Path, is_mistaken: bool
) -> None:
    log = ChangeLog(server, folder / "log")
    with log.kept():
        server.execute("CREATE TABLE kept (n integer); INSERT INTO kept VALUES (1)")
        base = log.base_backup(folder / "base")
        server.execute("INSERT INTO kept VALUES (2)")
        moment = datetime.fromisoformat(server.execute("SELECT clock_timestamp()").strip())
        server.execute("DELETE FROM kept WHERE n = 1")
        server.kill()
        # Its password is in its data.
        other = PostgreSql(folder / "other", password=server.password)
        log.restore(base, other, until=moment if is_mistaken else None)
        try:
            other.start()
            found = other.execute("SELECT n FROM kept ORDER BY n").split()
            other.execute("INSERT INTO kept VALUES (3)")  # it waits for nobody
        finally:
            other.stop()

    assert found == (["1", "2"] if is_mistaken else ["2"])
