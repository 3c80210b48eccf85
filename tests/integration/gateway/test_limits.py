"""Limits: exact where they are money, told in headers, and fair to who behaves."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from deploy.local.ports import free_ports
from libs.common import periods
from libs.common.crypto import issue_api_key
from services.gateway.domain.errors import MonthlyQuotaReached
from services.gateway.settings import Settings
from tests.support.accounts_stand_in import LIMITS, AccountsStandIn
from tests.support.gateways import Gateway, bearer
from tests.support.ledgers import Bench

CAP = 40


@pytest.fixture(scope="module")
async def other(settings: Settings) -> AsyncIterator[Gateway]:
    elsewhere = msgspec.structs.replace(
        settings, port=free_ports(), internal_port=free_ports(), failures_a_minute=3
    )
    async with Gateway.running(elsewhere) as running:
        yield running


def _limited(accounts: AccountsStandIn, **limits: int) -> str:
    return accounts.issue("live", None, limits=msgspec.structs.replace(LIMITS, **limits))


@pytest.mark.fault(10)
async def test_a_cap_admits_exactly_its_number_of_a_thousand_on_two_gateways(
    gateway: Gateway, other: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    key = _limited(accounts, pending=CAP)
    await asyncio.gather(gateway.learn(key), other.learn(key))

    floods = await asyncio.gather(gateway.flood(key, 500), other.flood(key, 500))

    statuses = Counter(answer.status for flood in floods for answer in flood)
    assert statuses == {200: CAP, 429: 1_000 - CAP}
    open_now = "SELECT count(*) FROM live WHERE account_id = $1"
    assert await ledger.sql.fetchval(open_now, accounts.of(key).account_id) == CAP


async def test_over_the_pending_cap_the_answer_says_so(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    key = _limited(accounts, pending=1)
    await gateway.accept(key)

    refused = await gateway.submit(key)

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "pending_limit_exceeded")
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("is_drop_in", [False, True], ids=["published", "drop-in"])
async def test_over_the_monthly_quota_the_answer_says_when_it_starts_anew(
    gateway: Gateway, accounts: AccountsStandIn, *, is_drop_in: bool
) -> None:
    anchor = (datetime.now(UTC) - timedelta(days=12)).day
    limits = msgspec.structs.replace(LIMITS, requests_per_month=1)
    key = accounts.issue("live", None, limits=limits, anchor_day=anchor, is_drop_in=is_drop_in)
    await gateway.accept(key, wait=False)

    refused = await gateway.submit(key, idempotency_key="k")

    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (429, "monthly_quota_exceeded")
    assert refused.headers["x-should-retry"] == "false"
    resets_at = periods.resets_at(anchor, datetime.now(UTC))
    assert f"{resets_at:%Y-%m-%d}" in error["message"]
    assert error["message"].endswith(" https://app.reqrun.test/billing")
    begins = datetime.now(UTC) + timedelta(seconds=int(refused.headers["retry-after"]))
    assert abs(begins - resets_at) < timedelta(minutes=1)


def test_without_a_dashboard_no_link_is_made_up() -> None:
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)

    refusal = MonthlyQuotaReached(1_000, datetime(2026, 12, 1, tzinfo=UTC), now)

    assert str(refusal).endswith("starts anew on 2026-12-01 (00:00 UTC).")
    assert refusal.retry_after == timedelta(days=7, hours=15)


async def test_the_rate_is_told_in_every_answer_and_kept(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    key = _limited(accounts, requests_per_minute=2)
    answers = [await gateway.submit(key) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [one.headers["x-ratelimit-limit-requests"] for one in answers] == ["2", "2", "2"]
    assert [one.headers["x-ratelimit-remaining-requests"] for one in answers] == ["1", "0", "0"]
    assert answers[2].json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(answers[2].headers["retry-after"]) <= 31
    read = await gateway.get(key, f"/v1/requests/{answers[0].json()['id']}")
    assert (read.status_code, read.headers["x-ratelimit-limit-requests"]) == (200, "20")


async def test_a_projects_own_body_cap_holds(gateway: Gateway, accounts: AccountsStandIn) -> None:
    key = _limited(accounts, body_bytes=1_000)

    refused = await gateway.submit(key, padding="x" * 1_000)

    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
    assert (await gateway.submit(key, padding="x" * 700)).status_code == 200


async def test_guessing_keys_bars_the_guesser_and_not_the_neighbour(
    other: Gateway, accounts: AccountsStandIn
) -> None:
    known = await other.learn(accounts.issue())
    fresh = accounts.issue()
    codes = [
        (await other.get(issue_api_key("live"), "/v1/requests")).json()["error"]["code"]
        for _ in range(4)
    ]

    assert codes == ["invalid_api_key"] * 3 + ["address_rate_limited"]
    barred = await other.get(fresh, "/v1/requests")
    assert barred.status_code == 429
    assert int(barred.headers["retry-after"]) > 0
    assert (await other.submit(known)).status_code == 200


async def test_a_project_may_take_calls_from_its_own_networks_only(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    inside = accounts.issue("live", None, allowed_addresses=("127.0.0.0/8",))
    outside = accounts.issue("live", None, allowed_addresses=("192.0.2.0/24",))

    assert (await gateway.submit(inside)).status_code == 200
    refused = await gateway.submit(outside)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "address_not_allowed")


async def test_nobody_passes_for_another_address_without_a_trusted_proxy(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    outside = accounts.issue("live", None, allowed_addresses=("192.0.2.0/24",))
    headers = bearer(outside) | {"x-forwarded-for": "192.0.2.7"}

    answer = await gateway.client.get("/v1/requests", headers=headers)

    assert answer.json()["error"]["code"] == "address_not_allowed"
