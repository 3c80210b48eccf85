"""A clear JSON error, no row, nobody hurt: the list of what must not do harm."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from deploy.local.ports import free_ports
from services.gateway.settings import Settings
from tests.support.accounts_stand_in import LIMITS, AccountsStandIn
from tests.support.gateways import SUBMISSION, Gateway, bearer
from tests.support.ledgers import Bench
from tests.support.raw_http import RawConnection, post

GOOD = json.dumps(SUBMISSION).encode()


@pytest.fixture(scope="module")
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    quick = msgspec.structs.replace(
        settings,
        body_timeout=timedelta(seconds=1),
        port=free_ports(),
        internal_port=free_ports(),
    )
    async with Gateway.running(quick) as running:
        yield running


@pytest.fixture(scope="module")
async def key(gateway: Gateway, accounts: AccountsStandIn) -> str:
    """Known to the gateway."""
    return await gateway.learn(accounts.issue())


@pytest.fixture(autouse=True)
async def _nothing_is_stored_and_the_gateway_goes_on(
    gateway: Gateway, key: str, ledger: Bench
) -> AsyncIterator[None]:
    """Around every test here."""
    count = "SELECT count(*) FROM requests"
    before = await ledger.sql.fetchval(count)
    yield
    assert await ledger.sql.fetchval(count) == before
    assert (await gateway.accept(key)).status_code == 200


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_body"),
        (GOOD.replace(b"Hello", b"\xff\xfe"), "invalid_json"),
        (GOOD.replace(b"Hello", b"\\ud800"), "invalid_json"),
        (GOOD.replace(b"gpt-5-nano", b"a\\u0000"), "invalid_body"),
        (GOOD.replace(b"gpt-5-nano", b"x" * 2_000_000), "invalid_body"),
        (GOOD.replace(b"gpt-5-nano", b"x" * 2_200_000), "body_too_large"),
        (GOOD.replace(b'"gpt-5-nano"', b"5"), "invalid_body"),
        (b'{"model":"m","messages":[]}', "invalid_body"),
        (b'{"model":"m","messages":[{}],"stream":true}', "unsupported_parameter"),
        (GOOD.decode().encode("utf-16"), "invalid_json"),
        (b'{"model":"m","x":' + b"[" * 500_000 + b"]" * 500_000 + b"}", "invalid_json"),
    ],
    ids=range(13),
)
async def test_a_body_that_cannot_be_run_is_refused(
    gateway: Gateway, key: str, body: bytes, code: str
) -> None:
    answer = await gateway.client.post("/v1/chat/completions", content=body, headers=bearer(key))

    assert answer.status_code == (413 if code == "body_too_large" else 400)
    assert answer.json()["error"]["code"] == code
    assert answer.headers["x-request-id"]


@pytest.mark.fault(11)
async def test_a_hundred_megabytes_are_refused_to_who_sends_them_all_first(
    gateway: Gateway, key: str
) -> None:
    size = 100 * 1024 * 1024
    async with await RawConnection.open(gateway.settings.port) as raw:
        await raw.send(post(key, f"Content-Length: {size}"))
        for _ in range(100):
            await raw.send(b" " * (size // 100))
        answer = await raw.read()

    assert (answer.status, answer.code) == (413, "body_too_large")


@pytest.mark.fault(11)
async def test_chunks_without_end_are_refused_when_they_are_too_many(
    gateway: Gateway, key: str
) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with await RawConnection.open(gateway.settings.port) as raw:
        await raw.send(post(key, "Transfer-Encoding: chunked"))
        for _ in range(64):
            await raw.send(chunk)
        answer = await raw.read()

    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_a_plan_may_take_less_than_the_gateway(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    small = msgspec.structs.replace(LIMITS, body_bytes=1000)

    key = await gateway.learn(accounts.issue(limits=small))

    answer = await gateway.submit(key, user="x" * 1000)

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.fault(9)
async def test_a_length_that_promises_too_much_is_waited_for_only_so_long(
    gateway: Gateway, key: str
) -> None:
    async with await RawConnection.open(gateway.settings.port) as raw:
        await raw.send(post(key, f"Content-Length: {len(GOOD) + 1}") + GOOD)
        answer = await raw.read()

    assert (answer.status, answer.code) == (400, "request_timeout")
    assert answer.headers["connection"] == "close"


async def test_a_length_that_promises_too_little_ends_the_body_there(
    gateway: Gateway, key: str
) -> None:
    async with await RawConnection.open(gateway.settings.port) as raw:
        await raw.send(post(key, "Content-Length: 5") + GOOD)
        answer = await raw.read()

    assert answer.status == 400  # what follows is no HTTP, so it may be the server's own


@pytest.mark.fault(9)
async def test_a_body_that_trickles_is_given_up(gateway: Gateway, key: str) -> None:
    async with await RawConnection.open(gateway.settings.port) as raw:
        await raw.send(post(key, f"Content-Length: {len(GOOD)}"))
        reading = asyncio.create_task(raw.read())
        for byte in GOOD[:-1]:
            if reading.done():
                break
            await raw.send(bytes([byte]))
            await asyncio.wait([reading], timeout=0.05)
        answer = await reading

    assert (answer.status, answer.code) == (400, "request_timeout")


@pytest.mark.fault(9)
async def test_who_hangs_up_in_the_middle_has_sent_nothing(gateway: Gateway, key: str) -> None:
    raw = await RawConnection.open(gateway.settings.port)
    await raw.send(post(key, f"Content-Length: {len(GOOD)}") + GOOD[:-1])
    await raw.close()


@pytest.mark.parametrize(
    "headers",
    [
        ["Authorization: Bearer twice", "Content-Length: 2"],
        ["Content-Type: a/b", "Content-Type: c/d", "Content-Length: 2"],
        ["Content-Encoding: gzip", "Content-Length: 2"],
    ],
)
async def test_headers_that_mean_two_things_are_refused(
    gateway: Gateway, key: str, headers: list[str]
) -> None:
    async with await RawConnection.open(gateway.settings.port) as raw:
        await raw.send(post(key, *headers) + b"{}")
        answer = await raw.read()

    assert (answer.status, answer.code) == (400, "invalid_header")


@pytest.mark.parametrize(
    "bad",
    [
        b"nonsense\r\n\r\n",
        post("k", "Content-Length: 1", "Content-Length: 2") + b"{}",
        post("k", "Content-Length: 2", "Transfer-Encoding: chunked") + b"{}",
        post("k", "Content-Length: minus") + b"{}",
    ],
    ids=range(4),
)
async def test_what_is_not_http_is_the_servers_own_400(gateway: Gateway, bad: bytes) -> None:
    async with await RawConnection.open(gateway.settings.port) as raw:
        await raw.send(bad)
        answer = await raw.read()
        assert answer.status == 400
        assert await raw.is_closed()


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("GET /", 404, "route_not_found"),
        ("GET /v1/nothing", 404, "route_not_found"),
        ("GET /v1/requestsrr_1", 404, "route_not_found"),
        ("GET /v1/requests/rr_1/nothing", 404, "route_not_found"),
        ("GET /v1/requests/rr_1/attempts/1", 404, "route_not_found"),
        ("GET /v1/requests/%00", 404, "request_not_found"),
        ("GET /v1/requests/%ff%fe", 404, "request_not_found"),
        ("GET /v1/requests/..%2f..%2fetc", 404, "route_not_found"),
        ("GET /v1/chat/completions", 405, "method_not_allowed"),
        ("PUT /v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE /openapi.json", 405, "method_not_allowed"),
        ("POST /v1/requests/rr_1", 405, "method_not_allowed"),
        ("OPTIONS /v1/chat/completions", 405, "method_not_allowed"),
        ("TRACE /v1/requests/rr_1", 405, "method_not_allowed"),
        ("GET /metrics", 404, "route_not_found"),
        ("GET /healthz", 404, "route_not_found"),
    ],
)
async def test_every_wrong_way_in_is_told_so_in_json(
    gateway: Gateway, key: str, call: str, status: int, code: str
) -> None:
    method, path = call.split(" ")
    url = f"http://127.0.0.1:{gateway.settings.port}{path}"
    answer = await gateway.client.request(method, url, headers=bearer(key))

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert list(answer.json()["error"]) == ["message", "type", "code"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("query", ["wait=x", "wait=-1", "wait=601", "wait=1&wait=2", "wait="])
async def test_a_query_that_cannot_be_meant_is_refused(
    gateway: Gateway, key: str, query: str
) -> None:
    answer = await gateway.get(key, f"/v1/requests/rr_01kav5m9x3f8q2r7t6w4y1z0bc?{query}")

    assert answer.json()["error"]["code"] == "unsupported_parameter"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"connection_id": None}, (400, "no_provider_connection")),
        ({"is_suspended": True}, (403, "project_suspended")),
        ({"needs_signature": True}, (401, "missing_signature")),
    ],
)
async def test_some_keys_cannot_submit(
    gateway: Gateway,
    accounts: AccountsStandIn,
    changes: dict[str, object],
    expected: tuple[int, str],
) -> None:
    key = await gateway.learn(accounts.issue("live", None, **changes))

    answer = await gateway.submit(key)

    assert (answer.status_code, answer.json()["error"]["code"]) == expected


async def test_without_a_key_nothing_is_told_but_that(gateway: Gateway) -> None:
    for path in ("/v1/requests/rr_1", "/v1/requests/rr_1/attempts"):
        answer = await gateway.client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_api_key")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json; charset=utf-8"},
        {"content-type": "text/plain"},
        {"CONTENT-TYPE": "application/json"},
    ],
)
async def test_the_content_type_does_not_matter(
    gateway: Gateway, key: str, headers: dict[str, str]
) -> None:
    """The body is bad on purpose, so that nothing is stored here."""
    answer = await gateway.client.post(
        "/v1/chat/completions", content=b"{}", headers={**bearer(key), **headers}
    )

    assert answer.json()["error"]["code"] == "invalid_body"
