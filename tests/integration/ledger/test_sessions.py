"""What holds of the ledger's own connections and statements, whoever uses them and however."""

import pytest

from libs.ledger.cancel import end_open
from tests.support.ledgers import Bench


@pytest.mark.fault(43)
async def test_every_session_waits_for_the_disk(ledger: Bench) -> None:
    """Whatever the database was told."""
    name = await ledger.sql.fetchval("SELECT current_database()")
    await ledger.sql.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')

    for hand in (ledger.gateway, ledger.executor, ledger.dispatcher):
        waits = await hand.database.run(
            lambda connection: connection.fetchval("SHOW synchronous_commit")
        )
        assert waits == "on"


@pytest.mark.parametrize(("project", "mode"), [("prj_b", "live"), ("prj_a", "test")])
async def test_who_ends_requests_names_their_project(
    ledger: Bench, project: str, mode: str
) -> None:
    """Callers look first, and must not be the only ones who do."""
    accepted = await ledger.accept()
    async with ledger.sql.transaction():
        ended = await end_open(ledger.sql, project, mode, [accepted.request_id])

    assert ended == []
    assert await ledger.live(accepted.request_id) is not None
