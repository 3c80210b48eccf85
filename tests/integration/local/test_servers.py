"""The private servers do what the fault tests will ask of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from deploy.local.programs import ProgramFailed
from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis
from deploy.local.servers.server import Server
from tests.support import servers


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSql]:
    with servers.running(PostgreSql) as server:
        yield server


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMq]:
    with servers.running(RabbitMq) as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with servers.running(Redis) as server:
        yield server


@pytest.fixture(params=["postgresql", "rabbitmq", "redis"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each kind in turn, of this module's own: what all tests share is not killed."""
    started: Server = request.getfixturevalue(request.param)
    return started


def test_a_server_comes_back_on_the_same_address_after_a_kill(server: Server) -> None:
    address, pid = server.url, server.pid
    tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    server.kill()
    assert not any(process.is_running() for process in tree)
    assert not server.is_ready()
    server.start()
    assert server.url == address
    assert server.pid != pid
    assert server.is_ready()


def test_a_frozen_server_does_not_answer_until_it_is_thawed(server: Server) -> None:
    server.freeze()
    try:
        tree = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        # A worker that ended just then stays behind as a zombie: its parent is frozen too.
        states = {process.status() for process in tree} - {psutil.STATUS_ZOMBIE}
        assert states == {psutil.STATUS_STOPPED}
        assert not server.is_ready()
    finally:
        server.thaw()
    server.wait_until_ready()


def test_a_server_listens_on_loopback_only(server: Server) -> None:
    assert {address for address, _ in server.process.listening()} == {"127.0.0.1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands servers to other accounts")
def test_no_server_runs_as_root(server: Server) -> None:
    assert psutil.Process(server.pid).uids().real != 0


def test_stopping_twice_is_harmless_and_leaves_nothing(tmp_path: Path) -> None:
    assert tmp_path.exists()
    with servers.running(RabbitMq) as broker:
        mine = psutil.Process().children(recursive=True)
        broker.stop()
        broker.stop()
        folder = str(broker.folder)
        left = [p for p in mine if p.is_running() and folder in " ".join(p.cmdline())]
        assert left == []


async def test_postgresql_keeps_what_it_committed_over_a_kill(
    postgresql: PostgreSql,
) -> None:
    connection = await asyncpg.connect(postgresql.url)
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    postgresql.kill()
    postgresql.start()
    connection.terminate()
    connection = await asyncpg.connect(postgresql.url)
    assert await connection.fetchval("SELECT one FROM kept") == 1
    assert await connection.fetchval("SHOW fsync") == "on"
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    await connection.close()


def test_every_test_gets_an_empty_database_of_its_own(
    postgresql_server: PostgreSql, empty_database: str
) -> None:
    name = empty_database.rsplit("/", 1)[1]
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert postgresql_server.execute(tables, name).strip() == "0"


def test_a_wrong_statement_is_an_error_and_not_silence(postgresql: PostgreSql) -> None:
    with pytest.raises(ProgramFailed, match="psql"):
        postgresql.execute("SELECT nonsense")


def test_a_wiped_broker_comes_back_empty_with_its_users(rabbitmq: RabbitMq) -> None:
    rabbitmq.control("eval", 'rabbit_vhost:add(<<"extra">>, <<"test">>).')
    assert "extra" in rabbitmq.control("list_vhosts")
    with pytest.raises(ProgramFailed, match="before its data is wiped"):
        rabbitmq.wipe()
    rabbitmq.kill()
    rabbitmq.wipe()
    rabbitmq.start()
    assert "extra" not in rabbitmq.control("list_vhosts")
    assert "reqrun" in rabbitmq.control("list_users")


def test_redis_forgets_at_a_wipe(redis: Redis) -> None:
    redis.command("SET", "name", "value")
    redis.wipe()
    assert redis.command("EXISTS", "name") == ":0\r\n"
