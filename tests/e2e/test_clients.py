"""Clients of ours, written from the published contract's wire facts, against the whole system."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.support.stack import System

NODE_CLIENT = Path(__file__).with_name("node_client.mjs")
CHAT = "/v1/chat/completions"
HELLO = {"model": "sim-ok", "messages": [{"role": "user", "content": "Hello"}]}
ASYNC_KEYS = {"id", "object", "status", "created"}


@pytest.mark.parametrize("content_type", [None, "application/json; charset=utf-8", "text/plain"])
@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION", "Authorization"])
async def test_any_spelling_of_headers_and_any_content_type_is_taken(
    name: str, content_type: str | None, system: System
) -> None:
    headers = {name: f"Bearer {system.seeded.live_key}"}
    if content_type:
        headers["Content-type"] = content_type
    async with httpx2.AsyncClient(base_url=system.gateways[0], timeout=30) as plain:
        answer = await plain.post(
            CHAT, headers=headers, content=json.dumps({**HELLO, "wait": True})
        )

    assert answer.status_code == 200
    assert answer.json()["object"] == "chat.completion"


async def test_a_null_idempotency_key_is_none_at_all(api: httpx2.AsyncClient) -> None:
    answers = [await api.post(CHAT, json={**HELLO, "idempotency_key": None}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["id"] != answers[1].json()["id"]


async def test_an_empty_get_may_carry_a_content_type(api: httpx2.AsyncClient) -> None:
    accepted = (await api.post(CHAT, json=HELLO)).json()

    answer = await api.get(
        f"/v1/requests/{accepted['id']}", headers={"content-type": "application/json"}
    )

    assert answer.status_code == 200
    assert set(accepted) == ASYNC_KEYS


async def test_nodes_fetch_submits_waits_and_reads(system: System) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    process = await asyncio.create_subprocess_exec(
        node,
        NODE_CLIENT,
        system.gateways[0],
        system.seeded.live_key,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    seen: dict[str, Any] = json.loads(output)

    assert process.returncode == 0
    assert seen["waited"]["body"]["object"] == "chat.completion"
    assert set(seen["accepted"]["body"]) == ASYNC_KEYS
    assert seen["finished"]["body"]["status"] == "completed"
    assert seen["finished"]["body"]["result"]["object"] == "chat.completion"
    assert seen["slashed"]["status"] == 200
    assert seen["missing"]["status"] == 404
    assert seen["missing"]["body"]["error"]["code"] == "route_not_found"


def stock(system: System) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{system.gateways[0]}/v1", api_key=system.seeded.live_key, max_retries=0
    )


async def test_the_stock_openai_package_waits_for_its_completion(system: System) -> None:
    async with stock(system) as client:
        completion = await client.chat.completions.create(
            model="sim-ok",
            messages=[{"role": "user", "content": "Hello"}],
            extra_body={"wait": True},
        )

    assert completion.object == "chat.completion"
    assert completion.choices[0].message.content
    assert completion.usage is not None
    assert completion.usage.total_tokens > 0


async def test_the_stock_openai_package_understands_our_errors(system: System) -> None:
    async with stock(system) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="sim-ok", messages=[])
        with pytest.raises(openai.AuthenticationError) as unknown:
            await client.with_options(api_key="reqrun_live_nonsense").chat.completions.create(
                model="sim-ok", messages=[{"role": "user", "content": "Hello"}]
            )

    assert refused.value.code == "invalid_body"
    assert unknown.value.code == "invalid_api_key"
