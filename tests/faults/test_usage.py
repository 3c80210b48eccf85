"""Usage is exact: every final live request is recorded once, whoever dies on the way to billing."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from libs.common import periods
from libs.ledger.ledger import GatewayLedger
from tests.support import bulk
from tests.support.checker_sources import drained
from tests.support.service_process import ROOT
from tests.support.stack import System
from tests.support.stack_faults import inflict, kills

SEED: Final = 20_261_123
KILLED: Final = ("executor", "executor-2", "dispatcher", "billing-worker")

_FINAL: Final = """
SELECT f.request_id, f.account_id, f.state, f.attempts, f.prompt_tokens, f.completion_tokens,
    f.total_tokens
FROM results f JOIN requests r ON r.id = f.request_id
WHERE f.mode = 'live' AND r.created_at >= $1
"""
_RECORDED: Final = """
SELECT request_id, account_id, state, attempts, prompt_tokens, completion_tokens, total_tokens
FROM usage_records WHERE created_at >= $1
"""
_OF_PERIOD: Final = """
SELECT account_id, count(*) AS accepted, count(l.id) AS open,
    count(*) FILTER (WHERE f.state = 'completed') AS completed,
    count(*) FILTER (WHERE f.state = 'failed') AS failed,
    count(*) FILTER (WHERE f.state = 'cancelled') AS cancelled
FROM requests r LEFT JOIN LATERAL (SELECT id FROM live l WHERE l.id = r.id) l ON true
LEFT JOIN LATERAL (SELECT state FROM results f WHERE f.request_id = r.id) f ON true
WHERE r.mode = 'live' AND r.created_at >= $1
GROUP BY 1
"""
_SUMMED: Final = """
SELECT account_id, state, sum(requests)::bigint AS requests FROM usage_account_days
WHERE day >= $1 GROUP BY 1, 2
"""


async def rows(url: str, statement: str, *values: object) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()


async def kill_until(stop: asyncio.Event, system: System, least: int) -> int:
    """One after the other in an order that is the same each time; how many."""
    done = 0
    for fault in kills(KILLED, 1_000, SEED, (0.5, 3.0)):
        if stop.is_set() and done >= least:
            break
        await asyncio.sleep(fault.pause)
        await inflict(system, fault)
        done += 1
    return done


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: all numbers are of live requests."""

    accepted: int
    recorded: int
    states: dict[str, int]
    tokens: int
    kills: int
    seconds: float


async def prove(system: System, count: int, least_kills: int) -> Proof:
    """`count` requests of two accounts under kills: the books are the ledger."""
    began_at, began = datetime.now(UTC) - timedelta(seconds=1), time.monotonic()
    seeded, stop = system.seeded, asyncio.Event()
    owners = [
        await bulk.owner(system, seeded.account_id, seeded.project_id),
        await bulk.owner(system, seeded.free_account_id, seeded.free_project_id),
    ]
    ledger = GatewayLedger(system.database_url("requests"))
    try:
        killing = asyncio.create_task(kill_until(stop, system, least_kills))
        accepted = await bulk.submit(ledger, owners, count)
    finally:
        stop.set()
        killed = await killing
        await ledger.close()
    await drained(system, 60 + count / 25)
    final = await rows(system.database_url("requests"), _FINAL, began_at)
    recorded = await rows(system.database_url("billing"), _RECORDED, began_at)
    assert {row["request_id"]: row for row in recorded} == {row["request_id"]: row for row in final}
    assert len(recorded) == len(final) == accepted == count
    states = dict.fromkeys(("completed", "failed", "cancelled"), 0)
    for row in recorded:
        states[row["state"]] += 1
    return Proof(
        accepted=accepted,
        recorded=len(recorded),
        states=states,
        tokens=sum(row["total_tokens"] for row in recorded),
        kills=killed,
        seconds=time.monotonic() - began,
    )


async def check_identity(system: System) -> None:
    """Of each account, in the period that is now: both say the same, and it adds up."""
    begins_on = periods.period_of(1, datetime.now(UTC))
    begins = periods.midnight(begins_on)
    counted = {
        row.pop("account_id"): row
        for row in await rows(system.database_url("requests"), _OF_PERIOD, begins)
    }
    summed: dict[str, dict[str, int]] = {}
    for row in await rows(system.database_url("billing"), _SUMMED, begins_on):
        summed.setdefault(row["account_id"], {})[row["state"]] = row["requests"]
    assert summed.keys() == counted.keys()
    for account, ledger in counted.items():
        ended = {state: ledger[state] for state in ("completed", "failed", "cancelled")}
        assert ledger["accepted"] == sum(ended.values()) + ledger["open"]
        books = summed[account]
        assert {state: books.get(state, 0) for state in ended} == ended


def reconcile(system: System) -> dict[str, Any]:
    """As an operator would, through a gateway."""
    today = datetime.now(UTC).date()
    words = ["usage", "reconcile", "--from", str(today - timedelta(days=1)), "--to", str(today)]
    done = subprocess.run(  # noqa: S603  the command is ours
        [sys.executable, "-m", "services.billing", *words, "--json"],
        cwd=ROOT,
        env=dict(system.process("billing-worker").program.environment),
        capture_output=True,
        check=True,
        timeout=600,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.fault(80)
@pytest.mark.timeout(400)
async def test_every_final_request_is_recorded_once_whoever_is_killed(system: System) -> None:
    proof = await prove(system, 2_000, least_kills=len(KILLED))

    assert proof.recorded == 2_000
    assert min(proof.states.values()) > 0
    await check_identity(system)
    found = reconcile(system)
    assert (found["drifts"], found["left"]) == ([], 0)
    assert found["accepted"] >= 2_000


@pytest.mark.slow
@pytest.mark.fault(80)
@pytest.mark.timeout(7_200)
async def test_a_hundred_thousand_are_recorded_once_while_all_are_killed_again_and_again(
    system: System, record_property: Callable[[str, object], None]
) -> None:
    proof = await prove(system, 100_000, least_kills=40)

    record_property("proof", msgspec.to_builtins(proof))
    print(proof)  # noqa: T201  for `pytest -s`
    assert proof.recorded == 100_000
    await check_identity(system)
    assert reconcile(system)["drifts"] == []
