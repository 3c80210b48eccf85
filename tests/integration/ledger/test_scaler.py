"""What KEDA asks the ledger (deploy/k8s/components/autoscaling), as the role that asks it."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import yaml

from deploy.checks.manifests.rendering import KUBERNETES
from deploy.local.servers.postgresql import PostgreSql
from libs.ledger import migrations
from libs.ledger.accept import Accepted
from libs.ledger.ledger import ExecutorLedger, GatewayLedger
from tests.support import servers
from tests.support.ledgers import ending, submission

ROLE, PASSWORD = "reqrun_scaler", secrets.token_urlsafe(12)
_ROLE = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
        CREATE ROLE {ROLE} LOGIN;
    END IF;
END $$;
ALTER ROLE {ROLE} PASSWORD '{PASSWORD}';
"""


def query() -> str:
    file = KUBERNETES / "components" / "autoscaling" / "executors.yaml"
    scaled = next(
        found
        for found in yaml.safe_load_all(file.read_text("utf-8"))
        if found["kind"] == "ScaledObject"
    )
    return str(scaled["spec"]["triggers"][0]["metadata"]["query"])


@pytest.fixture
async def address(postgresql_server: PostgreSql) -> AsyncIterator[str]:
    postgresql_server.execute(_ROLE)
    with servers.database(postgresql_server) as address:
        await migrations.upgrade(address)
        yield address


@pytest.fixture
async def scaler(
    postgresql_server: PostgreSql, address: str
) -> AsyncIterator["asyncpg.Connection[Any]"]:
    name = address.rpartition("/")[2]
    connection = await asyncpg.connect(postgresql_server.database_url(name, ROLE, PASSWORD))
    yield connection
    await connection.close()


async def test_the_scaler_counts_what_runs_and_what_could(
    address: str, scaler: "asyncpg.Connection[Any]"
) -> None:
    gateway, executor = GatewayLedger(address), ExecutorLedger(address, owner="executor-1")
    try:
        assert await scaler.fetchval(query()) == 0
        accepted = [await gateway.accept(submission(running_limit=2)) for _ in range(3)]
        assert await scaler.fetchval(query()) == 2  # the third waits for its project's limit

        first = accepted[0]
        assert isinstance(first, Accepted)
        [claim] = await executor.claim([first.request_id])
        assert await scaler.fetchval(query()) == 2
        await executor.finish(ending(claim))
        assert await scaler.fetchval(query()) == 1
    finally:
        await gateway.close()
        await executor.close()


async def test_the_scaler_reads_nothing_else(scaler: "asyncpg.Connection[Any]") -> None:
    forbidden = (
        "SELECT project_id FROM project_counters",
        "SELECT count(*) FROM live",
        "SELECT content FROM bodies",
        "UPDATE project_counters SET slots = 0",
    )
    for statement in forbidden:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await scaler.execute(statement)
