import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import httpx2
import msgspec
import pytest

from deploy.local.ports import free_ports
from libs.common.crypto import digest, issue_api_key
from services.gateway.settings import Settings
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.waiting import until

PATH = "/v1/requests/rr_01kav5m9x3f8q2r7t6w4y1z0bc"


@pytest.fixture(scope="module")
async def two(settings: Settings) -> AsyncIterator[list[Gateway]]:
    """Two gateways over one ledger and one Redis."""
    both = (_elsewhere(settings), _elsewhere(settings))
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Gateway.running(one)) for one in both]


def _elsewhere(settings: Settings, **changes: str) -> Settings:
    ports = {"port": free_ports(), "internal_port": free_ports()}
    return msgspec.structs.replace(settings, **ports, **changes)


@pytest.fixture(autouse=True)
def _accounts_speaks_again(accounts: AccountsStandIn) -> Iterator[None]:
    accounts.questions.clear()
    yield
    accounts.speak()


async def _code(gateway: Gateway, key: str) -> str:
    """`request_not_found` means that the key was good."""
    return str((await gateway.get(key, PATH)).json()["error"]["code"])


async def test_a_revoked_key_ends_on_two_warm_gateways_within_five_seconds(
    two: list[Gateway], accounts: AccountsStandIn
) -> None:
    key = accounts.issue()
    assert [await _code(one, key) for one in two] == ["request_not_found"] * 2

    accounts.revoke(key)
    revoked_at = time.monotonic()

    async def is_over() -> bool:
        return {await _code(one, key) for one in two} == {"invalid_api_key"}

    await until(is_over, seconds=5)
    assert time.monotonic() - revoked_at < 5


async def test_keys_go_on_while_accounts_is_silent_and_strangers_are_not_called_invalid(
    two: list[Gateway], accounts: AccountsStandIn
) -> None:
    key = accounts.issue()
    told, fresh = two
    assert await _code(told, key) == "request_not_found"

    accounts.silence()

    assert await _code(fresh, key) == "request_not_found"
    answer = await told.get(issue_api_key("live"), PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.alone
async def test_a_key_in_use_never_waits_while_accounts_is_silent(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    key = accounts.issue()
    await _code(gateway, key)
    accounts.silence()
    slowest, ends_at = 0.0, time.monotonic() + 6

    while time.monotonic() < ends_at:
        started = time.monotonic()
        assert await _code(gateway, key) == "request_not_found"
        slowest = max(slowest, time.monotonic() - started)

    assert slowest < 0.9


async def test_a_good_key_is_asked_about_once_for_many_calls(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    key = accounts.issue()

    await asyncio.gather(*(_code(gateway, key) for _ in range(50)))

    asked = [one for one in accounts.questions if accounts.of(key).digest in one]
    assert len(asked) <= 2


async def test_a_malformed_key_is_refused_without_a_question(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    key = issue_api_key("live")[:-1] + "-"

    assert await _code(gateway, key) == "invalid_api_key"
    assert not any(digest(key, accounts.pepper).hex() in asked for asked in accounts.questions)


async def test_without_accounts_the_gateway_is_ready_and_says_what_it_cannot_check(
    settings: Settings,
) -> None:
    alone = _elsewhere(settings, accounts_url="http://127.0.0.1:1")
    async with Gateway.running(alone) as gateway:
        answer = await gateway.get(issue_api_key("live"), PATH)

    assert answer.status_code == 503
    assert isinstance(answer, httpx2.Response)
