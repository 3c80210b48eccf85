"""The gate on a whole system: two gateways, real executors, and what happens to a project."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.support.checker_sources import ask, read_calls
from tests.support.stack import System
from tests.support.waiting import until

PATH = "/v1/chat/completions"
BODY = {"model": "sim-ok", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def gateways(system: System) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Both gateways as the demo project's live key sees them."""
    clients = [
        httpx2.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {system.seeded.live_key}"},
            timeout=60,
            trust_env=False,
            limits=httpx2.Limits(max_connections=None),
        )
        for url in system.gateways
    ]
    yield clients
    for client in clients:
        await client.aclose()


@pytest.mark.fault(6)
async def test_fifty_submissions_with_one_key_make_one_provider_call(
    system: System, gateways: list[httpx2.AsyncClient]
) -> None:
    body = {**BODY, "idempotency_key": "fifty", "wait": True}

    answers = await asyncio.gather(
        *(gateway.post(PATH, json=body) for _ in range(25) for gateway in gateways)
    )

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["object"] for answer in answers} == {"chat.completion"}
    assert len({answer.content for answer in answers}) == 1
    [request_id] = {answer.headers["x-reqrun-request-id"] for answer in answers}
    assert sum(call.request_id == request_id for call in read_calls(system.call_log)) == 1


async def test_a_cancelled_call_is_broken_off_within_seconds(
    system: System, gateways: list[httpx2.AsyncClient]
) -> None:
    body = {**BODY, "model": "sim-slow-60000ms"}
    request_id = (await gateways[0].post(PATH, json=body)).json()["id"]

    def is_called() -> bool:
        return any(call.request_id == request_id for call in read_calls(system.call_log))

    await until(is_called)
    answer = await gateways[1].post(f"/v1/requests/{request_id}/cancel")

    def is_over() -> bool:
        mine = [c for c in read_calls(system.call_log) if c.request_id == request_id]
        return mine[0].finished_at is not None

    await until(is_over, seconds=15)
    assert answer.json()["status"] == "cancelled"
    attempts = (await gateways[0].get(f"/v1/requests/{request_id}/attempts")).json()["data"]
    assert [one["outcome"] for one in attempts] == ["ambiguous"]


async def test_a_paused_project_starts_nothing_until_it_is_resumed(
    system: System, gateways: list[httpx2.AsyncClient]
) -> None:
    project_id = system.seeded.project_id

    async def operate(*words: str) -> None:
        await asyncio.to_thread(system.operate, *words)

    async def is_held() -> bool:
        """Once the pause has arrived, a request stays queued."""
        answer = await gateways[0].post(PATH, json={**BODY, "wait_timeout": 1, "wait": True})
        held.append(answer.headers["x-reqrun-request-id"])
        return answer.headers["x-reqrun-status"] == "queued"

    held: list[str] = []
    await operate("projects", "pause", project_id)
    try:
        await until(is_held)
        before = len(read_calls(system.call_log))
        for _ in range(5):
            assert await is_held()
        assert len(read_calls(system.call_log)) == before
    finally:
        await operate("projects", "resume", project_id)
    ends = [await gateways[1].get(f"/v1/requests/{one}?wait=30") for one in held]

    assert {end.json()["status"] for end in ends} == {"completed"}


@pytest.mark.fault(82)
async def test_an_erased_project_is_closed_and_nothing_of_it_runs_on(system: System) -> None:
    account_id = system.seeded.account_id

    def operate(*words: str) -> dict[str, str]:
        return dict(system.operate(*words))

    project = await asyncio.to_thread(operate, "projects", "create", "--account", account_id, "P")
    url = f"{system.simulator_url}/v1"
    await asyncio.to_thread(
        lambda: system.operate(
            "connections", "set", "--project", project["id"], "--base-url", url,
            settings={"REQRUN_PROVIDER_KEY": "sk-erased"},
        )
    )  # fmt: skip
    issue = ("keys", "issue", "--project", project["id"], "--mode", "live")
    key = (await asyncio.to_thread(operate, *issue))["key"]
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(
        base_url=system.gateways[0], headers=headers, timeout=60, trust_env=False
    ) as client:
        done = await client.post(PATH, json={**BODY, "wait": True})
        slow = await client.post(PATH, json={**BODY, "model": "sim-slow-60000ms"})
        open_id, done_id = slow.json()["id"], done.headers["x-reqrun-request-id"]

        await asyncio.to_thread(operate, "projects", "erase", project["id"], "--yes")

        async def is_closed() -> bool:
            return (await client.get(f"/v1/requests/{done_id}")).status_code == 401

        await until(is_closed, seconds=10)
    await until(lambda: _is_erased(system, [open_id, done_id]))


async def _is_erased(system: System, ids: list[str]) -> bool:
    rows = await ask(
        system.database_url("requests"),
        """
        SELECT r.id, r.erased_at, f.state, (SELECT count(*) FROM bodies b
            WHERE b.request_id = r.id AND b.expires_on = r.body_expires_on) AS bodies
        FROM requests r LEFT JOIN results f ON f.request_id = r.id WHERE r.id = ANY($1)
        """,
        ids,
    )
    found = {row["id"]: (row["state"], row["bodies"], row["erased_at"] is None) for row in rows}
    return found == dict(zip(ids, [("cancelled", 0, False), ("completed", 0, False)], strict=True))


async def test_a_rate_limit_holds_over_two_gateways(
    system: System, gateways: list[httpx2.AsyncClient]
) -> None:
    """The Free account's 60 a minute, asked for 120 times at once."""
    headers = {"authorization": f"Bearer {system.seeded.free_key}"}

    answers = await asyncio.gather(
        *(
            gateway.post(PATH, content=json.dumps(BODY), headers=headers)
            for _ in range(60)
            for gateway in gateways
        )
    )

    taken = [answer for answer in answers if answer.status_code == 200]
    refused = {answer.json()["error"]["code"] for answer in answers if answer.status_code != 200}
    assert 60 <= len(taken) <= 65  # a token a second comes back meanwhile
    assert refused == {"rate_limit_exceeded"}
