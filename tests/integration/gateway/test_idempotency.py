"""One key, one request: attach, replay, conflict, erased; header and body; test and live apart."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from deploy.local.ports import free_ports
from services.gateway.settings import Settings
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import SUBMISSION, Gateway, bearer
from tests.support.ledgers import Bench, ending

RESULT = b'{"object":"chat.completion","choices":[]}'
PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
async def other(settings: Settings) -> AsyncIterator[Gateway]:
    elsewhere = msgspec.structs.replace(settings, port=free_ports(), internal_port=free_ports())
    async with Gateway.running(elsewhere) as running:
        yield running


async def _complete(ledger: Bench, accounts: AccountsStandIn, request_id: str) -> None:
    claim = (await ledger.claim(request_id))[0]
    await ledger.finish(accounts.sealed(claim, ending(claim, result=RESULT)))


@pytest.mark.fault(6)
async def test_fifty_with_one_key_on_two_gateways_get_one_request(
    gateway: Gateway, other: Gateway, accounts: AccountsStandIn, ledger: Bench, key: str
) -> None:
    await gateway.learn(key)
    await other.learn(key)

    answers = await asyncio.gather(
        *(one.submit(key, idempotency_key="k") for _ in range(25) for one in (gateway, other))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    replayed = [answer for answer in answers if "x-reqrun-replayed" in answer.headers]
    assert len(replayed) == 49
    project_id = accounts.of(key).project_id
    for table in ("requests", "live", "idempotency_keys"):
        stored = f"SELECT count(*) FROM {table} WHERE project_id = $1"  # noqa: S608  # constants
        assert await ledger.sql.fetchval(stored, project_id) == 1


async def test_who_waits_with_a_known_key_waits_for_the_running_request(
    gateway: Gateway, other: Gateway, accounts: AccountsStandIn, ledger: Bench, key: str
) -> None:
    request_id = (await gateway.submit(key, idempotency_key="k")).json()["id"]
    waiting = [
        asyncio.create_task(one.submit(key, idempotency_key="k", wait=True))
        for one in (gateway, other)
    ]
    await _complete(ledger, accounts, request_id)

    answers = await asyncio.gather(*waiting)

    assert [answer.content for answer in answers] == [RESULT, RESULT]
    assert {answer.headers["x-reqrun-replayed"] for answer in answers} == {"true"}


async def test_a_repeat_of_a_completed_request_gets_its_result_even_without_waiting(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench, key: str
) -> None:
    first = await gateway.submit(key, idempotency_key="k")
    await _complete(ledger, accounts, first.json()["id"])

    again = await gateway.submit(key, idempotency_key="k", wait=False)

    assert (again.status_code, again.content) == (200, RESULT)
    assert again.headers["x-reqrun-request-id"] == first.json()["id"]


@pytest.mark.fault(7)
async def test_the_body_may_be_written_differently_but_must_say_the_same(
    gateway: Gateway, key: str
) -> None:
    first = await gateway.submit(key, idempotency_key="k", temperature=1)
    text = b'{"temperature":1, "wait":false, "idempotency_key":"k",' + b'"max_attempts":3,'
    text += b'"messages":[{"content":"Hel\\u006co","role":"user"}],"model":"gpt-5-nano"}'

    same = await gateway.client.post(PATH, content=text, headers=bearer(key))
    other = await gateway.submit(key, idempotency_key="k", temperature=2)

    assert same.json()["id"] == first.json()["id"]
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert first.json()["id"] in other.json()["error"]["message"]
    assert other.headers["x-should-retry"] == "false"


async def test_a_key_may_be_a_header_and_the_body_comes_first(gateway: Gateway, key: str) -> None:
    async def submit(header: str, **fields: object) -> httpx2.Response:
        headers = bearer(key) | {"idempotency-key": header}
        return await gateway.client.post(PATH, json={**SUBMISSION, **fields}, headers=headers)

    first = await submit("k")
    in_body = await gateway.submit(key, idempotency_key="k")
    both = await submit("other", idempotency_key="k")
    null = await submit("k", idempotency_key=None)

    ids = {answer.json()["id"] for answer in (first, in_body, both, null)}
    assert ids == {first.json()["id"]}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_header_that_is_not_ascii_is_the_key_that_a_body_names(
    gateway: Gateway, key: str, encoding: str
) -> None:
    headers = [
        (b"authorization", f"Bearer {key}".encode()),
        (b"idempotency-key", "bestellung-für-4711".encode(encoding)),
    ]
    named = await gateway.client.post(PATH, json=SUBMISSION, headers=headers)
    in_body = await gateway.submit(key, idempotency_key="bestellung-für-4711")

    assert named.json()["id"] == in_body.json()["id"]


@pytest.mark.parametrize("header", ["", "x" * 256])
async def test_a_header_that_is_no_key_is_refused(gateway: Gateway, key: str, header: str) -> None:
    headers = bearer(key) | {"idempotency-key": header}

    answer = await gateway.client.post(PATH, json=SUBMISSION, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_header")


async def test_test_and_live_and_other_projects_share_no_keys(
    gateway: Gateway, accounts: AccountsStandIn, key: str
) -> None:
    project_id = accounts.of(key).project_id
    test_key = accounts.issue("test", None, project_id=project_id)
    second_key = accounts.issue("live", None, project_id=project_id)

    answers = [
        await gateway.submit(one, idempotency_key="k")
        for one in (key, test_key, accounts.issue(), second_key)
    ]

    ids = [answer.json()["id"] for answer in answers]
    assert len(set(ids)) == 3
    assert ids[3] == ids[0]  # another API key of the same project and mode


async def test_a_repeat_of_an_erased_request_is_gone(gateway: Gateway, key: str) -> None:
    request_id = (await gateway.submit(key, idempotency_key="k")).json()["id"]
    await gateway.client.delete(f"/v1/requests/{request_id}", headers=bearer(key))

    again = await gateway.submit(key, idempotency_key="k")

    assert (again.status_code, again.json()["error"]["code"]) == (410, "result_erased")


async def test_null_is_no_key(gateway: Gateway, key: str) -> None:
    ids = {(await gateway.submit(key, idempotency_key=None)).json()["id"] for _ in range(2)}

    assert len(ids) == 2
