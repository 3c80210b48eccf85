"""Our clients, and the stock one with our signing, against the whole system with a signing key."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import httpx2
import openai
import pytest

from reqrun import AsyncReqRun, ReqRun, ReqRunError, Retries, SigningAuth
from tests.support import node
from tests.support.stack import System

SCRIPT = Path(__file__).with_name("signed_client.mjs")
MESSAGES: list[Any] = [{"role": "user", "content": "grüß dich 🌍"}]
ONE_TRY = Retries(count=0)


@pytest.fixture
def client(system: System) -> Iterator[ReqRun]:
    seeded = system.seeded
    with ReqRun(seeded.signed_key, seeded.signing_secret, system.gateways[0]) as made:
        yield made


@pytest.fixture
async def awaiting(system: System) -> AsyncIterator[AsyncReqRun]:
    seeded = system.seeded
    key, secret = seeded.signed_key, seeded.signing_secret
    async with AsyncReqRun(key, secret, system.gateways[0]) as made:
        yield made


def test_a_signed_request_is_waited_for(client: ReqRun) -> None:
    answer = client.chat.completions.create(model="sim-ok", messages=MESSAGES, wait=True)

    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"]


def test_a_request_is_followed_from_its_acceptance_to_its_timeline(client: ReqRun) -> None:
    accepted = client.chat.completions.create(model="sim-429-twice", messages=MESSAGES)
    assert accepted["object"] == "chat.completion.async"

    finished = client.requests.wait(accepted["id"], timeout=60)

    assert (finished["status"], finished["attempts"]) == ("completed", 3)
    assert finished["result"] is not None
    assert finished["result"]["object"] == "chat.completion"
    timeline = client.requests.attempts(accepted["id"])["data"]
    assert [attempt["status_code"] for attempt in timeline] == [429, 429, 200]


async def test_one_key_is_one_request_in_both_pythons(
    client: ReqRun, awaiting: AsyncReqRun
) -> None:
    key = str(uuid4())
    first = client.chat.completions.create(
        model="sim-slow-2000ms", messages=MESSAGES, idempotency_key=key
    )
    second = await awaiting.chat.completions.create(
        model="sim-slow-2000ms", messages=MESSAGES, idempotency_key=key
    )
    assert first["id"] == second["id"]

    with pytest.raises(ReqRunError) as raised:
        client.chat.completions.create(model="sim-ok", messages=MESSAGES, idempotency_key=key)
    assert (raised.value.status, raised.value.code) == (409, "idempotency_conflict")


async def test_a_request_is_listed_cancelled_and_erased(awaiting: AsyncReqRun) -> None:
    accepted = await awaiting.chat.completions.create(model="sim-timeout", messages=MESSAGES)
    request_id = accepted["id"]

    page = await awaiting.requests.list(limit=100, model="sim-timeout")
    assert request_id in [one["id"] for one in page["data"]]
    assert (await awaiting.requests.cancel(request_id))["status"] == "cancelled"
    with pytest.raises(ReqRunError, match="already_finished"):
        await awaiting.requests.cancel(request_id)
    assert (await awaiting.requests.erase(request_id))["status"] == "cancelled"


async def test_a_failed_request_is_tried_again_once(awaiting: AsyncReqRun) -> None:
    accepted = await awaiting.chat.completions.create(model="sim-400", messages=MESSAGES)
    failed = await awaiting.requests.wait(accepted["id"], timeout=60)
    assert failed["status"] == "failed"

    again = [await awaiting.requests.retry(failed["id"]) for _ in range(2)]

    assert again[0]["id"] == again[1]["id"] != failed["id"]


def test_the_models_are_listed(client: ReqRun) -> None:
    assert client.models.list()["object"] == "list"


@pytest.mark.parametrize(
    ("secret", "code"), [(None, "missing_signature"), ("another", "invalid_signature")]
)
def test_a_call_that_is_not_well_signed_is_refused(
    secret: str | None, code: str, system: System
) -> None:
    key = system.seeded.signed_key
    with (
        ReqRun(key, secret, system.gateways[0], retries=ONE_TRY) as stranger,
        pytest.raises(ReqRunError) as raised,
    ):
        stranger.requests.list()

    assert (raised.value.status, raised.value.code) == (401, code)
    assert raised.value.call_id is not None


async def test_a_nonce_works_once_on_all_gateways(system: System) -> None:
    seeded = system.seeded
    auth = SigningAuth(seeded.signing_secret).headers("GET", "/v1/requests")
    headers = {"authorization": f"Bearer {seeded.signed_key}", **auth}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as plain:
        answers = [
            await plain.get(f"{address}/v1/requests")
            for address in (system.gateways[0], system.gateways[-1])
        ]

    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[1].json()["error"]["code"] == "nonce_reused"


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_the_stock_openai_package_signs(library: Any, system: System) -> None:
    auth = SigningAuth(system.seeded.signing_secret)
    with openai.OpenAI(
        base_url=f"{system.gateways[0]}/v1",
        api_key=system.seeded.signed_key,
        http_client=library.Client(auth=auth, timeout=40),
    ) as stock:
        completion = stock.chat.completions.create(
            model="sim-ok",
            messages=MESSAGES,
            extra_body={"wait": True},
            extra_headers={"Idempotency-Key": str(uuid4())},
        )

    assert completion.choices[0].message.content


def test_the_javascript_client_does_what_its_guide_says(system: System) -> None:
    seeded = system.seeded
    done = subprocess.run(  # noqa: S603  the command is ours
        [node.program(), SCRIPT, system.gateways[0], seeded.signed_key, seeded.signing_secret],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)

    assert told["waited"]["object"] == "chat.completion"
    assert told["finished"]["status"] == "completed"
    assert told["finished"]["result"]["object"] == "chat.completion"
    assert told["repeated"] == told["accepted"]["id"]
    assert told["attempts"] == [200]
    assert told["cancelled"] == "cancelled"
    assert told["unsigned"] == {"status": 401, "code": "missing_signature"}
