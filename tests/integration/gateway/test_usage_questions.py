"""What billing asks gateways about the ledger, through the adapter that it asks with."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from libs.common.clock import SystemClock
from libs.common.contracts import gateway as contract
from libs.common.contracts.executor import FinishedRequest
from libs.common.contracts.usage import ENDED_PATH, USAGE_PATH, EndedQuestion, UsageQuestion
from libs.common.ids import new_id
from libs.common.tokens import ServiceTokens
from services.billing.adapters import gateway as adapter
from services.billing.domain.drift import LedgerAway
from services.gateway.use_cases import usage
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, ending, submission
from tests.support.service_keys import ServiceKey


@pytest.fixture
async def asking(gateway: Gateway, billing_key: ServiceKey) -> AsyncIterator[adapter.HttpLedger]:
    tokens = ServiceTokens(
        "billing", billing_key.key_id, billing_key.private.reveal(), SystemClock()
    )
    url = f"http://127.0.0.1:{gateway.settings.internal_port}"
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        yield adapter.HttpLedger(client, tokens)


def span(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"from_": now - timedelta(days=1), "to": now + timedelta(days=1)} | changes


async def run(ledger: Bench, account_id: str, **changes: Any) -> str:
    """One of the account that ends at once."""
    of = {"account_id": account_id, "project_id": f"prj_{account_id}", **changes}
    claim = await ledger.claimed(**of)
    await ledger.finish(ending(claim))
    return claim.request_id


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "PAGE", 3)


@pytest.mark.usefixtures("small_pages")
async def test_pages_add_up_to_what_the_ledger_holds_and_name_what_ended(
    asking: adapter.HttpLedger, ledger: Bench
) -> None:
    mine, other = new_id("acc"), new_id("acc")
    ended = [await run(ledger, mine) for _ in range(5)]
    for _ in range(2):
        await ledger.gateway.accept(submission(account_id=mine, project_id=f"prj_{mine}"))
    await run(ledger, mine, mode="test")
    await run(ledger, other)

    days, cursor, pages = [], None, 0
    while cursor is not None or not pages:
        page = await asking.usage(UsageQuestion(**span(cursor=cursor)))
        days += [day for day in page.days if day.account_id == mine]
        cursor, pages = page.cursor, pages + 1
    found: list[FinishedRequest] = []
    cursor = None
    while True:
        question = EndedQuestion(**span(account=(mine, new_id("acc")), cursor=cursor))
        some = await asking.ended(question)
        found += some.requests
        cursor = some.cursor
        if cursor is None:
            break

    assert pages >= 3
    names = ("accepted", "completed", "failed", "cancelled", "open", "total_tokens")
    assert [sum(getattr(day, name) for day in days) for name in names] == [7, 5, 0, 0, 2, 35]
    assert sorted(request.id for request in found) == sorted(ended)
    assert {request.account_id for request in found} == {mine}
    assert {request.tokens.total for request in found} == {7}


async def test_accounts_that_are_being_erased_are_named_and_their_projects_left_out(
    asking: adapter.HttpLedger, ledger: Bench
) -> None:
    account = new_id("acc")
    await run(ledger, account)
    await ledger.sql.execute(
        "INSERT INTO erasures (project_id, account_id) VALUES ($1, $2)", f"prj_{account}", account
    )

    page = await asking.usage(UsageQuestion(**span()))

    assert account in page.erasing
    assert account not in {day.account_id for day in page.days}


async def test_only_what_was_accepted_in_the_span_counts(
    asking: adapter.HttpLedger, ledger: Bench
) -> None:
    account = new_id("acc")
    request_id = await run(ledger, account)
    at = await ledger.sql.fetchval("SELECT created_at FROM requests WHERE id = $1", request_id)
    moment = timedelta(microseconds=1)

    async def accepted(low: datetime, high: datetime) -> int:
        page = await asking.usage(UsageQuestion(from_=low, to=high))
        return sum(day.accepted for day in page.days if day.account_id == account)

    assert await accepted(at, at + moment) == 1
    assert await accepted(at - moment, at) == 0
    assert await accepted(at + moment, at + timedelta(hours=1)) == 0


@pytest.mark.parametrize(
    "query",
    [
        "",
        "from=2026-01-01T00:00:00Z",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=2026-01-01T00:00:00&to=2026-01-02T00:00:00",
        "from=1990-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
        "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&cursor=rr_1",
        "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&colour=red",
    ],
)
@pytest.mark.parametrize("path", [USAGE_PATH, ENDED_PATH])
async def test_a_wrong_question_is_refused(
    gateway: Gateway, billing_key: ServiceKey, path: str, query: str
) -> None:
    headers = billing_key.headers(contract.AUDIENCE, SystemClock())
    answer = await gateway.internal.get(f"{path}?{query}", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")


async def test_billing_alone_asks_and_asks_nothing_else(
    gateway: Gateway, accounts_key: ServiceKey, billing_key: ServiceKey
) -> None:
    clock = SystemClock()
    wrong = accounts_key.headers(contract.AUDIENCE, clock)
    mine = billing_key.headers(contract.AUDIENCE, clock)
    get = gateway.internal.get

    assert [(await get(path, headers=wrong)).status_code for path in (USAGE_PATH, ENDED_PATH)] == [
        403,
        403,
    ]
    assert (await get(USAGE_PATH)).status_code == 401
    assert (await get(contract.requests_path("prj_a"), headers=mine)).status_code == 403
    assert (await gateway.client.get(USAGE_PATH)).status_code == 404


async def test_a_gateway_that_does_not_answer_is_asked_three_times(
    billing_key: ServiceKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "PAUSES", (0.0, 0.0))
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        good = b'{"requests":[],"cursor":null}'
        return httpx2.Response(200, content=good if len(asked) == 3 else b"{")

    tokens = ServiceTokens(
        "billing", billing_key.key_id, billing_key.private.reveal(), SystemClock()
    )
    transport = httpx2.MockTransport(answer)
    async with httpx2.AsyncClient(base_url="http://gateway", transport=transport) as client:
        ledger = adapter.HttpLedger(client, tokens)
        assert (await ledger.ended(EndedQuestion(**span()))).requests == ()
        asked.extend(asked)
        with pytest.raises(LedgerAway):
            await ledger.ended(EndedQuestion(**span()))
    assert len(asked) == 9
