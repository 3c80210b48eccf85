"""Signed calls: order of checks, nonces on two gateways, and what spends nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from deploy.local.ports import free_ports
from deploy.local.servers.redis import Redis
from services.gateway.settings import Settings
from tests.support.accounts_stand_in import LIMITS, AccountsStandIn
from tests.support.gateways import SUBMISSION, Gateway, bearer
from tests.support.ledgers import Bench
from tests.support.signing import SECRET, call, signed, submit
from tests.support.waiting import until

PATH = "/v1/chat/completions"
BODY = json.dumps(SUBMISSION).encode()
NONCE = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
async def other(settings: Settings) -> AsyncIterator[Gateway]:
    """A second gateway over the same ledger."""
    elsewhere = msgspec.structs.replace(settings, port=free_ports(), internal_port=free_ports())
    async with Gateway.running(elsewhere) as running:
        yield running


@pytest.fixture
def signing_key(accounts: AccountsStandIn) -> str:
    return accounts.issue("live", SECRET)


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


async def test_a_signed_call_is_taken(gateway: Gateway, signing_key: str) -> None:
    answer = await submit(gateway, signing_key)
    request_id = answer.json()["id"]

    assert answer.status_code == 200
    shown = await call(gateway, signing_key, "GET", f"/v1/requests/{request_id}?wait=0")
    assert shown.json()["id"] == request_id


@pytest.mark.parametrize("seconds", [0, 290, -290])
async def test_a_timestamp_with_an_offset_of_zero_is_taken_within_five_minutes(
    gateway: Gateway, signing_key: str, seconds: float
) -> None:
    headers = signed(signing_key, "POST", PATH, BODY, timestamp=_ago(seconds))

    assert (await gateway.client.post(PATH, content=BODY, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"x-reqrun-timestamp": None}, "missing_signature"),
        ({"x-reqrun-nonce": None}, "missing_signature"),
        ({"x-reqrun-signature": None}, "missing_signature"),
        ({"x-reqrun-timestamp": "yesterday"}, "invalid_signature"),
        ({"x-reqrun-nonce": "short"}, "invalid_signature"),
        ({"x-reqrun-nonce": "f" * 32}, "invalid_signature"),
        ({"x-reqrun-signature": "v1=" + "0" * 64}, "invalid_signature"),
        ({"x-reqrun-signature": "v1=" + "0" * 63}, "invalid_signature"),
        ({"x-reqrun-timestamp": "2020-01-01T00:00:00Z"}, "stale_timestamp"),
        ({"x-reqrun-timestamp": "2999-01-01T00:00:00Z"}, "stale_timestamp"),
    ],
)
async def test_each_flaw_has_its_code_and_spends_no_nonce(
    gateway: Gateway, signing_key: str, changes: dict[str, str | None], code: str
) -> None:
    good = signed(signing_key, "POST", PATH, BODY)
    flawed = {name: value for name, value in (good | changes).items() if value is not None}

    refused = await gateway.client.post(PATH, content=BODY, headers=flawed)

    assert (refused.status_code, refused.json()["error"]["code"]) == (401, code)
    assert (await gateway.client.post(PATH, content=BODY, headers=good)).status_code == 200


async def test_a_body_that_was_changed_on_the_way_is_refused(
    gateway: Gateway, signing_key: str
) -> None:
    headers = signed(signing_key, "POST", PATH, BODY)
    answer = await gateway.client.post(PATH, content=BODY + b" ", headers=headers)

    assert answer.json()["error"]["code"] == "invalid_signature"


async def test_a_header_that_is_there_twice_is_refused(gateway: Gateway, signing_key: str) -> None:
    good = signed(signing_key, "POST", PATH, BODY)
    twice = [*good.items(), ("x-reqrun-nonce", "f" * 32)]

    answer = await gateway.client.post(PATH, content=BODY, headers=twice)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_signature")


async def test_the_same_call_is_refused_by_another_gateway(
    gateway: Gateway, other: Gateway, signing_key: str
) -> None:
    headers = signed(signing_key, "POST", PATH, BODY)
    first = await gateway.client.post(PATH, content=BODY, headers=headers)
    again = await other.client.post(PATH, content=BODY, headers=headers)

    assert first.status_code == 200
    assert (again.status_code, again.json()["error"]["code"]) == (401, "nonce_reused")


async def test_fifty_replays_at_once_on_two_gateways_make_one_request(
    gateway: Gateway, other: Gateway, signing_key: str, accounts: AccountsStandIn, ledger: Bench
) -> None:
    headers = signed(signing_key, "POST", PATH, BODY)

    answers = await asyncio.gather(
        *(
            one.client.post(PATH, content=BODY, headers=headers)
            for one in (gateway, other)
            for _ in range(25)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 49
    project_id = accounts.of(signing_key).project_id
    stored = "SELECT count(*) FROM requests WHERE project_id = $1"
    assert await ledger.sql.fetchval(stored, project_id) == 1


async def test_a_signed_read_is_taken_once_on_two_gateways(
    gateway: Gateway, other: Gateway, signing_key: str
) -> None:
    path = f"/v1/requests/{(await submit(gateway, signing_key)).json()['id']}"
    first = await call(gateway, signing_key, "GET", path, nonce=NONCE)
    again = await call(other, signing_key, "GET", path, nonce=NONCE)

    assert first.status_code == 200
    assert again.json()["error"]["code"] == "nonce_reused"


@pytest.mark.fault(48)
async def test_a_replay_is_refused_after_redis_lost_everything(
    gateway: Gateway, signing_key: str, redis_server: Redis
) -> None:
    headers = signed(signing_key, "POST", PATH, BODY)
    assert (await gateway.client.post(PATH, content=BODY, headers=headers)).status_code == 200
    redis_server.command("FLUSHALL")

    again = await gateway.client.post(PATH, content=BODY, headers=headers)

    assert again.json()["error"]["code"] == "nonce_reused"


async def test_a_rate_limited_call_keeps_its_nonce(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    slow = msgspec.structs.replace(LIMITS, requests_per_minute=1)
    key = accounts.issue("live", SECRET, limits=slow)
    headers = signed(key, "POST", PATH, BODY)
    assert (await submit(gateway, key)).status_code == 200
    limited = await gateway.client.post(PATH, content=BODY, headers=headers)
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    accounts.contexts[accounts.of(key).digest] = msgspec.structs.replace(
        accounts.of(key), limits=LIMITS
    )

    async def is_taken() -> bool:
        answer = await gateway.client.post(PATH, content=BODY, headers=headers)
        return answer.status_code == 200

    await until(is_taken, seconds=10)


async def test_a_base_url_that_ends_in_a_slash_is_forgiven(
    gateway: Gateway, signing_key: str
) -> None:
    """The path is doubled on the wire, and clients sign it single (published clients do)."""
    headers = signed(signing_key, "POST", PATH, BODY)
    url = f"http://127.0.0.1:{gateway.settings.port}/{PATH}"

    answer = await gateway.client.post(url, content=BODY, headers=headers)

    assert (str(answer.request.url.path), answer.status_code) == (f"/{PATH}", 200)


async def test_a_key_without_a_secret_works_unsigned(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    answer = await gateway.client.post(PATH, content=BODY, headers=bearer(accounts.issue()))

    assert answer.status_code == 200
