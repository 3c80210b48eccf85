"""The simulator as its users see it: over HTTP, through our adapter and through OpenAI's SDK."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from libs.common.settings import Secret
from libs.ledger.states import Outcome
from services.executor.adapters.provider import Provider
from services.executor.domain.calls import ProviderConnection
from services.executor.domain.failures import ErrorCode, Verdict, classify
from tests.support.provider_calls import provider_with
from tests.support.simulator import simulator
from tests.support.waiting import until

PROMPT = "canary-prompt"
KEY = "sk-canary-key"


def body(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}


def client(origin: str) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx2.AsyncClient(base_url=origin, headers=headers, trust_env=False, timeout=20)


async def verdict_on(
    provider: Provider, origin: str, model: str, *, trace_id: str = "rr_1-1", seconds: float = 20
) -> Verdict:
    connection = ProviderConnection(connection_id="con_1", base_url=f"{origin}/v1", key=Secret(KEY))
    result = await provider.call(
        connection,
        "chat/completions",
        json.dumps(body(model)).encode(),
        timeout=timedelta(seconds=seconds),
        trace_id=trace_id,
    )
    return classify(result, datetime.now(UTC))


@pytest.mark.parametrize(
    ("model", "outcome", "error_code"),
    [
        ("sim-ok", Outcome.COMPLETED, None),
        ("gpt-5-nano", Outcome.COMPLETED, None),
        ("sim-slow-30ms", Outcome.COMPLETED, None),
        ("sim-429-once", Outcome.TRANSIENT, ErrorCode.PROVIDER_RATE_LIMITED),
        ("sim-500-always", Outcome.TRANSIENT, ErrorCode.PROVIDER_UNAVAILABLE),
        ("sim-503-once", Outcome.TRANSIENT, ErrorCode.PROVIDER_UNAVAILABLE),
        ("sim-529-once", Outcome.TRANSIENT, ErrorCode.PROVIDER_UNAVAILABLE),
        ("sim-garbage", Outcome.TRANSIENT, ErrorCode.PROVIDER_UNAVAILABLE),
        ("sim-cut", Outcome.AMBIGUOUS, ErrorCode.PROVIDER_UNAVAILABLE),
        ("sim-400", Outcome.PERMANENT, ErrorCode.PROVIDER_REJECTED),
        ("sim-401", Outcome.PERMANENT, ErrorCode.PROVIDER_AUTH_FAILED),
        ("sim-404", Outcome.PERMANENT, ErrorCode.PROVIDER_REJECTED),
        ("sim-quota", Outcome.PERMANENT, ErrorCode.PROVIDER_QUOTA_EXHAUSTED),
    ],
)
async def test_each_script_is_judged_as_what_it_plays(
    model: str, outcome: Outcome, error_code: ErrorCode | None
) -> None:
    async with simulator() as origin, provider_with() as provider:
        verdict = await verdict_on(provider, origin, model)

    assert (verdict.outcome, verdict.error_code) == (outcome, error_code)


async def test_a_completion_has_the_shape_tokens_and_headers_of_openai_s() -> None:
    async with simulator() as origin, client(origin) as http:
        answer = await http.post("/v1/chat/completions", json=body("m"))

    found = answer.json()
    assert found["object"] == "chat.completion"
    assert found["model"] == "m"
    assert found["choices"][0]["finish_reason"] == "stop"
    usage = found["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-ratelimit-remaining-requests"] == "9999"
    assert PROMPT not in answer.text


async def test_a_429_says_when_to_come_back_and_the_wait_is_read() -> None:
    async with simulator() as origin, provider_with() as provider:
        verdict = await verdict_on(provider, origin, "sim-429-always")

    assert (verdict.asked_wait, verdict.asked_by) == (timedelta(milliseconds=200), "retry-after-ms")
    assert verdict.is_cooldown
    assert verdict.rate_limits["x-ratelimit-remaining-requests"] == "0"


async def test_twice_is_counted_for_each_request_apart_and_over_its_attempts() -> None:
    async with simulator() as origin, provider_with() as provider:
        statuses = [
            (await verdict_on(provider, origin, "sim-429-twice", trace_id=trace_id)).status_code
            for trace_id in ("rr_1-1", "rr_2-1", "rr_1-2", "rr_1-5", "rr_2-2", "rr_2-3", "rr_1-6")
        ]

    assert statuses == [429, 429, 429, 200, 429, 200, 200]


async def test_twice_without_a_request_id_goes_by_the_body_and_starts_over() -> None:
    async with simulator() as origin, client(origin) as http:
        statuses = [
            (await http.post("/v1/chat/completions", json=body(model))).status_code
            for model in ("sim-429-once", "sim-429-once", "sim-429-once", "sim-429-1times")
        ]

    assert statuses == [429, 200, 429, 429]


async def test_a_timeout_takes_the_request_and_notes_that_the_client_left() -> None:
    async with simulator() as origin, provider_with() as provider, client(origin) as http:
        verdict = await verdict_on(provider, origin, "sim-timeout", seconds=0.3)

        async def has_left() -> bool:
            return [c["ended"] for c in (await http.get("/_calls")).json()] == ["left"]

        assert verdict.is_timeout
        await until(has_left)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic x"}, {"Authorization": "Bearer"}])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models"])
async def test_a_call_without_a_key_is_401(headers: dict[str, str], path: str) -> None:
    method = "GET" if path == "/v1/models" else "POST"
    async with (
        simulator() as origin,
        httpx2.AsyncClient(base_url=origin, trust_env=False) as http,
    ):
        answer = await http.request(method, path, content=b"{}", headers=headers)

    assert answer.status_code == 401
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"model":"m"}', b'{"model":1,"messages":[]}', b"[" * 100_000],
)
async def test_a_body_that_is_no_call_is_400(content: bytes) -> None:
    async with simulator() as origin, client(origin) as http:
        answer = await http.post("/v1/chat/completions", content=content)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_streaming_is_refused_and_its_absence_is_not() -> None:
    async with simulator() as origin, client(origin) as http:
        statuses = [
            (await http.post("/v1/chat/completions", json=body("m", stream=stream))).status_code
            for stream in (True, False, None)
        ]

    assert statuses == [400, 200, 200]


async def test_a_body_beyond_16_mib_is_413() -> None:
    async with simulator() as origin, client(origin) as http:
        answer = await http.post("/v1/chat/completions", content=bytes(17 * 1024 * 1024))

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status_code"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("PUT", "/_calls", 405),
        ("GET", "/nothing", 404),
        ("POST", "/_script", 400),
    ],
)
async def test_other_paths_and_methods_are_answered_in_json(
    method: str, path: str, status_code: int
) -> None:
    async with simulator() as origin, client(origin) as http:
        answer = await http.request(method, path, content=b'{"modle":"sim-ok"}')

    assert answer.status_code == status_code
    assert answer.json()


async def test_controls_do_not_exist_unless_they_are_switched_on() -> None:
    async with simulator(has_controls=False) as origin, client(origin) as http:
        statuses = [
            (await http.request(method, path, content=b"{}")).status_code
            for method, path in (("GET", "/_calls"), ("DELETE", "/_calls"), ("POST", "/_script"))
        ]

    assert statuses == [404, 404, 404]


async def test_everybody_can_be_made_to_fail_and_to_recover() -> None:
    async with simulator() as origin, client(origin) as http:
        seen = []
        for script in ({"model": "sim-503-always", "latency_ms": 5}, {}):
            await http.post("/_script", json=script)
            seen.append((await http.post("/v1/chat/completions", json=body("m"))).status_code)

    assert seen == [503, 200]


async def test_the_call_log_has_every_call_and_no_content(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    async with (
        simulator(call_log=path) as origin,
        provider_with() as provider,
        client(origin) as http,
    ):
        for number, model in enumerate(("sim-ok", "sim-cut", "sim-500-always"), start=1):
            await verdict_on(provider, origin, model, trace_id=f"rr_{number}-7")
        calls = (await http.get("/_calls")).json()
        await http.delete("/_calls")
        forgotten = (await http.get("/_calls")).json()

    assert [(c["number"], c["client_request_id"], c["ended"], c["status_code"]) for c in calls] == [
        (1, "rr_1-7", "answered", 200),
        (2, "rr_2-7", "cut", None),
        (3, "rr_3-7", "answered", 500),
    ]
    assert forgotten == []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["event"], line["number"]) for line in lines] == [
        ("start", 1), ("end", 1), ("start", 2), ("end", 2), ("start", 3), ("end", 3),
    ]  # fmt: skip
    assert PROMPT not in path.read_text()
    assert KEY not in path.read_text()


async def test_a_call_that_is_under_way_is_already_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    async with simulator(call_log=path) as origin, provider_with() as provider:
        running = asyncio.create_task(verdict_on(provider, origin, "sim-timeout"))
        await until(lambda: path.read_text().count("\n") == 1)
        started = json.loads(path.read_text())
        running.cancel()
        await until(lambda: path.read_text().count("\n") == 2)
        ended = json.loads(path.read_text().splitlines()[1])

    assert (started["event"], started["model"], started["finished_at"]) == (
        "start",
        "sim-timeout",
        None,
    )
    assert (ended["event"], ended["ended"]) == ("end", "left")


async def test_openai_s_own_sdk_takes_it_for_openai() -> None:
    async with (
        simulator() as origin,
        openai.AsyncOpenAI(api_key=KEY, base_url=f"{origin}/v1", max_retries=0) as sdk,
    ):
        completion = await sdk.chat.completions.create(**body("sim-ok"))
        listed = [model.id async for model in sdk.models.list()]
        with pytest.raises(openai.RateLimitError) as quota:
            await sdk.chat.completions.create(**body("sim-quota"))
        with pytest.raises(openai.BadRequestError):
            await sdk.chat.completions.create(**body("sim-400"))
        with pytest.raises(openai.InternalServerError):
            await sdk.chat.completions.create(**body("sim-500-always"))

    assert completion.choices[0].message.content
    assert completion.usage
    assert "sim-429-twice" in listed
    assert quota.value.code == "insufficient_quota"
