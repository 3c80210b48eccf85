"""A request's way through the whole system, as its owner sees it."""

import asyncio
import json
import re
from typing import Any

import httpx2
import pytest

from libs.common.ids import new_id
from tests.support.checker_sources import ask, drained
from tests.support.stack import System

CHAT = "/v1/chat/completions"
SEVEN = {
    "id",
    "status",
    "attempts",
    "created_at",
    "updated_at",
    "last_error_code",
    "result",
}
A_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def order(model: str = "sim-ok", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}


async def finished(api: httpx2.AsyncClient, request_id: str) -> dict[str, Any]:
    """Poll, as a client would, until it is final."""
    async with asyncio.timeout(30):
        while True:
            answer = await api.get(f"/v1/requests/{request_id}", params={"wait": 5})
            assert answer.status_code == 200
            body: dict[str, Any] = answer.json()
            if body["status"] in ("completed", "failed", "cancelled"):
                return body


async def test_a_waiting_call_gets_the_providers_body_as_it_is(api: httpx2.AsyncClient) -> None:
    answer = await api.post(CHAT, json=order(wait=True))

    assert answer.status_code == 200
    assert answer.json()["object"] == "chat.completion"
    assert answer.headers["x-reqrun-status"] == "completed"
    assert answer.headers["x-reqrun-request-id"].startswith("rr_")


async def test_an_accepted_call_is_polled_to_its_result(api: httpx2.AsyncClient) -> None:
    answer = await api.post(CHAT, json=order("sim-slow-300ms"))
    accepted = answer.json()

    assert accepted["object"] == "chat.completion.async"
    assert accepted["status"] == "queued"
    assert answer.headers["location"].endswith(accepted["id"])

    body = await finished(api, accepted["id"])
    assert set(body) == SEVEN
    assert body["result"]["object"] == "chat.completion"
    assert (body["status"], body["attempts"], body["last_error_code"]) == ("completed", 1, None)
    assert A_TIME.fullmatch(body["created_at"])
    assert A_TIME.fullmatch(body["updated_at"])


async def test_a_wait_that_ends_early_gives_the_asynchronous_shape(
    api: httpx2.AsyncClient,
) -> None:
    answer = await api.post(CHAT, json=order("sim-slow-2000ms", wait=True, wait_timeout=0.3))

    assert answer.status_code == 200
    assert answer.json()["object"] == "chat.completion.async"
    assert (await finished(api, answer.json()["id"]))["status"] == "completed"


@pytest.mark.fault(53, 54)
async def test_two_rate_limits_then_success_are_told_by_the_timeline(
    api: httpx2.AsyncClient,
) -> None:
    answer = await api.post(CHAT, json=order("sim-429-twice", wait=True))
    request_id = answer.headers["x-reqrun-request-id"]

    assert answer.json()["object"] == "chat.completion"
    timeline = (await api.get(f"/v1/requests/{request_id}/attempts")).json()["data"]
    assert [one["status_code"] for one in timeline] == [429, 429, 200]
    assert [one["outcome"] for one in timeline] == ["transient", "transient", "completed"]
    assert [one["error_code"] for one in timeline[:2]] == ["provider_rate_limited"] * 2
    assert timeline[0]["retry_rule"] == "retry-after-ms"
    assert json.loads(timeline[0]["provider_error"])["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.fault(60)
@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("sim-400", "provider_rejected"),
        ("sim-401-always", "provider_auth_failed"),
        ("sim-quota", "provider_quota_exhausted"),
    ],
)
async def test_a_permanent_failure_is_final_at_once_and_says_why(
    model: str, code: str, api: httpx2.AsyncClient
) -> None:
    answer = await api.post(CHAT, json=order(model, wait=True))

    assert answer.status_code == 200
    assert (answer.json()["object"], answer.json()["status"]) == ("chat.completion.async", "failed")
    body = await finished(api, answer.json()["id"])
    assert (body["status"], body["attempts"], body["last_error_code"]) == ("failed", 1, code)
    assert body["result"] is None


@pytest.mark.fault(54)
async def test_a_failing_provider_uses_up_the_attempts(api: httpx2.AsyncClient) -> None:
    accepted = (await api.post(CHAT, json=order("sim-500-always", max_attempts=3))).json()

    body = await finished(api, accepted["id"])
    assert (body["status"], body["attempts"]) == ("failed", 3)
    assert body["last_error_code"] == "provider_unavailable"


async def test_anothers_request_is_not_there(system: System, api: httpx2.AsyncClient) -> None:
    mine = (await api.post(CHAT, json=order())).json()["id"]
    of_nobody = new_id("rr")

    for key in (system.seeded.free_key, system.seeded.test_key):
        headers = {"authorization": f"Bearer {key}"}
        for path in (f"/v1/requests/{mine}", f"/v1/requests/{mine}/attempts"):
            answer = await api.get(path, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (
                404,
                "request_not_found",
            )
    assert (await api.get(f"/v1/requests/{of_nobody}")).status_code == 404


async def test_test_keys_run_against_the_simulator_and_are_not_billed(
    system: System, api: httpx2.AsyncClient
) -> None:
    headers = {"authorization": f"Bearer {system.seeded.test_key}"}

    answer = await api.post(CHAT, json=order(wait=True), headers=headers)

    request_id = answer.headers["x-reqrun-request-id"]
    assert answer.json()["object"] == "chat.completion"
    await drained(system, 20)
    assert await usage_of(system, request_id) == []


async def test_a_live_request_is_billed_once_with_the_providers_tokens(
    system: System, api: httpx2.AsyncClient
) -> None:
    answer = await api.post(CHAT, json=order(wait=True))
    request_id = answer.headers["x-reqrun-request-id"]
    await drained(system, 20)

    [record] = await usage_of(system, request_id)

    assert record["account_id"] == system.seeded.account_id
    assert record["state"] == "completed"
    assert record["total_tokens"] == answer.json()["usage"]["total_tokens"]


async def usage_of(system: System, request_id: str) -> list[Any]:
    question = "SELECT * FROM usage_records WHERE request_id = $1"
    return list(await ask(system.database_url("billing"), question, request_id))


async def test_bad_input_gets_a_clear_error_and_harms_nobody_else(
    api: httpx2.AsyncClient,
) -> None:
    nul = b'{"model": "sim-ok", "messages": [{"role": "user", "content": "a\\u0000b"}]}'
    bad: list[tuple[bytes, str]] = [
        (b"{", "invalid_json"),
        (b"[]", "invalid_body"),
        (b'{"model": 7, "messages": [{}]}', "invalid_body"),
        (b'{"model": "sim-ok", "messages": []}', "invalid_body"),
        (b'{"model": "a\\u0000b", "messages": [{}]}', "invalid_body"),
        (b'{"model": "a\\ud800b", "messages": [{}]}', "invalid_json"),
        (b'{"model": "\xff", "messages": [{}]}', "invalid_json"),
        (b'{"model": "sim-ok", "messages": [{}], "stream": true}', "unsupported_parameter"),
        (b'{"model": "sim-ok", "messages": [{}], "deadline_seconds": 0}', "invalid_body"),
        (b'{"model": "' + b"m" * 1_000_000 + b'", "messages": [{}]}', "invalid_body"),
    ]
    good = [api.post(CHAT, json=order(wait=True)) for _ in range(20)]
    poor = [api.post(CHAT, content=content) for content, _ in bad]

    answers = await asyncio.gather(*poor, *good, api.post(CHAT, content=nul))

    for (content, code), answer in zip(bad, answers, strict=False):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), content[:60]
        assert set(answer.json()["error"]) == {"message", "type", "code"}
    assert {answer.status_code for answer in answers[len(bad) :]} == {200}
