"""`reqrun doctor` on a whole system: well, and with one thing after the other broken."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.operator.doctor.check import Finding, State
from libs.common.broker.rabbitmq.side import Side
from libs.common.settings import Secret
from tests.support import desks, queues
from tests.support.desks import AtDesk, LateClock
from tests.support.stack import System


def states(found: dict[str, Finding]) -> dict[str, State]:
    return {name: one.state for name, one in found.items()}


def wrong(found: dict[str, Finding]) -> set[str]:
    return {name for name, one in found.items() if one.state is State.FAIL}


def said(found: dict[str, Finding]) -> str:
    return "\n".join(f"{one.check}: {one.says} {one.do}" for one in found.values())


def test_a_system_that_is_well_passes_and_nothing_else_is_printed(
    environ: dict[str, str],
) -> None:
    done = desks.run(environ, "doctor", "--json")

    report = json.loads(done.stdout)
    assert [one for one in report["findings"] if one["state"] == "fail"] == []
    assert (done.returncode, done.stderr, report["is_good"]) == (0, "", True)
    assert report["counts"]["ok"] > 50
    assert done.stdout.count("\n") == 1


def test_no_secret_is_in_what_doctor_says(system: System, desk: AtDesk) -> None:
    text = said(desk.findings())

    keys = system.stack.site.keys
    secrets = [*keys.services.values(), *keys.servers.values(), *keys.owners.values()]
    assert len(secrets) > 9
    assert [one for one in secrets if one in text] == []


def test_a_frozen_redis_fails_alone_and_in_bounded_time(system: System, desk: AtDesk) -> None:
    system.stack.redis.freeze()
    began = time.monotonic()
    try:
        found = desk.findings()
    finally:
        system.stack.redis.thaw()

    assert wrong(found) == {"redis: reachable"}
    assert {states(found)[f"redis: {what}"] for what in ("version", "memory", "clock")} == {
        State.SKIP
    }
    assert time.monotonic() - began < 30


def test_a_frozen_postgresql_freezes_nothing_else(system: System, desk: AtDesk) -> None:
    system.stack.postgresql.freeze()
    try:
        found = desk.findings("requests", "accounts", "ledger", "redis", "broker: reachable")
    finally:
        system.stack.postgresql.thaw()

    assert wrong(found) == {"requests: reachable", "accounts: reachable"}
    assert states(found)["redis: reachable"] is State.OK
    assert states(found)["ledger: leases"] is State.SKIP


def test_half_of_everything_may_be_down(system: System, desk: AtDesk) -> None:
    process = system.process("billing-worker")
    process.freeze()
    try:
        found = desk.findings("process", "machine")
    finally:
        process.thaw()

    assert wrong(found) == {"process: billing-worker"}
    assert found["process: billing-worker"].says == "does not answer"


@contextmanager
def changed(system: System, database: str, change: str, back: str) -> Iterator[None]:
    server = system.stack.postgresql
    server.execute(change, database)
    try:
        yield
    finally:
        server.execute(back, database)


@pytest.mark.parametrize(
    ("database", "newest"), [("requests", "0011"), ("accounts", "0009"), ("billing", "0006")]
)
def test_a_missing_migration_is_named_with_what_makes_it(
    system: System, desk: AtDesk, database: str, newest: str
) -> None:
    head = system.stack.postgresql.execute("SELECT version_num FROM alembic_version", database)
    assert head.strip() >= newest
    back = f"UPDATE alembic_version SET version_num = '{head.strip()}'"  # noqa: S608  # a revision
    with changed(system, database, "UPDATE alembic_version SET version_num = '0001'", back):
        found = desk.findings(f"{database}: schema")

    [schema] = found.values()
    assert schema.state is State.FAIL
    assert "revision 0001" in schema.says
    assert "migrate" in schema.do


@pytest.mark.parametrize(
    ("change", "back", "says"),
    [
        (
            "GRANT DELETE ON results TO reqrun_gateway",
            "REVOKE DELETE ON results FROM reqrun_gateway",
            "too much: DELETE on results",
        ),
        (
            "GRANT UPDATE (state) ON live TO reqrun_gateway",
            "REVOKE UPDATE (state) ON live FROM reqrun_gateway",
            "too much: UPDATE on live(state)",
        ),
        (
            "ALTER ROLE reqrun_gateway CREATEROLE",
            "ALTER ROLE reqrun_gateway NOCREATEROLE",
            "too much: makes roles",
        ),
        (
            "GRANT CONNECT ON DATABASE accounts TO reqrun_gateway",
            "REVOKE CONNECT ON DATABASE accounts FROM reqrun_gateway",
            "too much: may enter another of our databases",
        ),
        (
            "REVOKE INSERT ON nonces FROM reqrun_gateway",
            "GRANT INSERT ON nonces TO reqrun_gateway",
            "too little: INSERT on nonces",
        ),
    ],
    ids=["a table", "a column", "a power", "a database", "less than it must"],
)
def test_a_role_that_may_too_much_or_too_little_is_told(
    system: System, desk: AtDesk, change: str, back: str, says: str
) -> None:
    with changed(system, "requests", change, back):
        found = desk.findings("requests: role reqrun_gateway")

    [role] = found.values()
    assert (role.state, role.says) == (State.FAIL, says)
    assert not wrong(desk.findings("requests: role"))


def test_everybody_may_nothing(system: System, desk: AtDesk) -> None:
    change, back = "GRANT SELECT ON bodies TO PUBLIC", "REVOKE SELECT ON bodies FROM PUBLIC"
    with changed(system, "requests", change, back):
        found = desk.findings("requests: role")

    assert found["requests: role PUBLIC"].says == "too much: SELECT on bodies"


def test_postgresql_that_may_forget_is_told(system: System, desk: AtDesk) -> None:
    server = system.stack.postgresql
    server.execute("ALTER DATABASE requests SET synchronous_commit = off")
    try:
        found = desk.findings("requests: durability")
    finally:
        server.execute("ALTER DATABASE requests RESET synchronous_commit")

    [durability] = found.values()
    assert durability.state is State.FAIL
    assert "synchronous_commit = off" in durability.says


def test_an_absent_queue_is_named(system: System, desk: AtDesk) -> None:
    system.stack.rabbitmq.control("delete_queue", "executor.accounts.parked")
    try:
        found = desk.findings("broker")
    finally:
        asyncio.run(_declare(system.stack.rabbitmq.url))

    assert found["broker: topology"].says == "missing: executor.accounts.parked"
    assert wrong(found) == {"broker: topology"}
    assert not wrong(desk.findings("broker: topology"))


async def _declare(url: str) -> None:
    """Only what is missing; what waits in the others stays."""
    async with queues.side_channel(url) as channel:
        await channel.declare_queue(
            "executor.accounts.parked", durable=True, arguments={"x-queue-type": "quorum"}
        )
        queue = await channel.get_queue("executor.accounts.parked")
        await queue.bind("reqrun.parked", "executor.accounts")
    look = await Side(Secret(url), 5).look()
    assert look.missing == ()


def test_a_key_file_for_everybody_is_told(system: System, desk: AtDesk) -> None:
    file = system.stack.site.folder / "keys" / "data-plane-keys.json"
    file.chmod(0o644)
    try:
        found = desk.findings("keys: material")
    finally:
        file.chmod(0o600)

    [material] = found.values()
    assert material.state is State.FAIL
    assert "others than its owner can use it (mode 644)" in material.says


def test_a_clock_that_is_half_a_minute_off_is_told(desk: AtDesk) -> None:
    found = desk.at(LateClock(timedelta(seconds=30))).findings("requests: clock", "redis: clock",
                                                               "process: gateway")  # fmt: skip

    assert wrong(found) == set(found)
    assert all(" s off ours" in one.says for one in found.values())


def test_what_has_no_settings_is_skipped_and_says_which(tmp_path: Path) -> None:
    found = AtDesk(desks.of_environment({"HOME": str(tmp_path)})).findings()

    assert wrong(found) == set()
    assert found["requests: reachable"].says == "REQRUN_LEDGER_URL is not set"
    assert found["broker: reachable"].says == "REQRUN_BROKER_URL is not set"
    assert "REQRUN_DATABASE_URL is not set" in found["accounts: reachable"].says
