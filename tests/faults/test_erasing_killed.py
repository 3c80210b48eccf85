"""A project is erased while its requests run, and who erases it dies after every batch."""

import asyncio
from typing import Any

import pytest

from tests.support.checker_sources import ask, drained
from tests.support.client import CarefulClient, Order
from tests.support.crash_trial import Death, die
from tests.support.stack import System
from tests.support.waiting import until

MANY = 450
BATCHES = 3
LEFT = """
SELECT count(*) FILTER (WHERE r.erased_at IS NULL) AS unmarked,
    count(*) FILTER (WHERE f.state IS DISTINCT FROM 'cancelled') AS not_cancelled,
    (SELECT count(*) FROM bodies WHERE request_id = ANY(array_agg(r.id))) AS bodies,
    (SELECT count(*) FROM body_keys WHERE request_id = ANY(array_agg(r.id))) AS keys
FROM requests r LEFT JOIN results f ON f.request_id = r.id WHERE r.project_id = $1
"""


async def operate(system: System, *words: str, **settings: str) -> dict[str, Any]:
    answer = await asyncio.to_thread(lambda: system.operate(*words, settings=settings))
    return dict(answer)


async def new_project(system: System) -> tuple[str, str]:
    """Its id, and a live key of it."""
    account = ("--account", system.seeded.account_id)
    project: str = (await operate(system, "projects", "create", *account, "Short-lived"))["id"]
    where = ("--project", project)
    base_url = ("--base-url", f"{system.simulator_url}/v1")
    await operate(system, "connections", "set", *where, *base_url, REQRUN_PROVIDER_KEY="sk-erased")
    issued = await operate(system, "keys", "issue", *where, "--mode", "live")
    return project, issued["key"]


@pytest.mark.slow
@pytest.mark.fault(82)
async def test_an_erasure_that_is_killed_after_every_batch_goes_on_until_nothing_is_left(
    system: System,
) -> None:
    project, key = await new_project(system)
    async with CarefulClient(system.gateways, {"live": key}) as client:
        orders = [Order(number=n, gateway=n % 2, model="sim-slow-60000ms") for n in range(MANY)]
        sent = await asyncio.gather(*(client.submit(order) for order in orders))
    assert all(one.is_accepted for one in sent), {one.error for one in sent}

    dying = asyncio.create_task(die(system, "dispatcher", [Death("erase.after_batch")] * BATCHES))
    await operate(system, "projects", "erase", project, "--yes")
    await dying

    async def is_nothing_left() -> bool:
        [row] = await ask(system.database_url("requests"), LEFT, project)
        return not any(row.values())

    await until(is_nothing_left)
    await drained(system, 30)
