"""List, cancel, retry and erase; each for its owner alone, and safe to repeat."""

import asyncio
from typing import Any

import httpx2
import pytest

from libs.ledger.states import Outcome, State
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import SUBMISSION, Gateway, bearer
from tests.support.ledgers import Bench, ending
from tests.support.overseen import ERROR, RESULT, Acting
from tests.support.signing import SECRET, call, submit

NONCE = "0123456789abcdef0123456789abcdef"


class Customer(Acting):
    """Calls as its holder does."""

    async def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = bearer(self.key)
        return await self.gateway.client.request(
            method, f"/v1/requests{path}", headers=headers, **options
        )


@pytest.fixture
def customer(gateway: Gateway, accounts: AccountsStandIn, ledger: Bench) -> Customer:
    return Customer(gateway, accounts, ledger)


def _code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_list_has_all_pages_newest_first(customer: Customer) -> None:
    ids = [await customer.submit() for _ in range(5)]
    seen: list[str] = []
    path = "?limit=2"
    while True:
        page = (await customer.call("GET", path)).json()
        seen += [one["id"] for one in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], seen[-1])
        if not page["has_more"]:
            break
        path = f"?limit=2&after={page['last_id']}"

    assert seen == ids[::-1]


async def test_a_list_can_be_filtered(customer: Customer) -> None:
    done, open_one = await customer.submit(model="a"), await customer.submit(model="b")
    await customer.complete(done)

    async def ids(query: str) -> list[str]:
        page = (await customer.call("GET", f"?{query}")).json()
        return [one["id"] for one in page["data"]]

    assert await ids("status=completed") == [done]
    assert await ids("status=queued,completed") == [open_one, done]
    assert await ids("status=queued&status=completed") == [open_one, done]
    assert await ids("model=b") == [open_one]
    assert await ids("created_after=2020-01-01T00:00:00Z&mode=live") == [open_one, done]
    assert await ids("created_before=1577836800") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=x", "limit=1&limit=2", "after=rr_1", "status=done",
        "mode=test", "created_after=soon", "created_before=2026-13-01T00:00:00Z", "colour=red",
        "model=%00", "model=" + "x" * 300, "status=%ff",
    ],
)  # fmt: skip
async def test_what_a_list_does_not_take_is_told(customer: Customer, query: str) -> None:
    assert _code(await customer.call("GET", f"?{query}")) == (400, "unsupported_parameter")


async def test_a_cancelled_request_ends_and_tells_who_waits(customer: Customer) -> None:
    waiting = asyncio.create_task(
        customer.gateway.submit(customer.key, wait=True, idempotency_key="k")
    )
    request_id = await customer.submit(idempotency_key="k")

    cancelled = await customer.call("POST", f"/{request_id}/cancel")
    answer = await waiting

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    again = await customer.call("POST", f"/{request_id}/cancel")
    assert _code(again) == (409, "already_finished")


async def test_a_completed_request_is_not_cancelled(customer: Customer) -> None:
    request_id = await customer.submit()
    await customer.complete(request_id)

    assert _code(await customer.call("POST", f"/{request_id}/cancel")) == (409, "already_finished")


async def test_a_failed_request_is_retried_once_with_the_same_body(customer: Customer) -> None:
    request_id = await customer.submit(idempotency_key="k", temperature=1.00)
    await customer.fail(request_id)

    first = await customer.call("POST", f"/{request_id}/retry", json={"max_attempts": 3})
    second = await customer.call("POST", f"/{request_id}/retry")

    new = first.json()["id"]
    assert new not in (request_id, None)
    assert (second.json()["id"], second.headers["x-reqrun-replayed"]) == (new, "true")
    claim = await customer.claim(new)
    assert claim.body is not None
    plain = customer.accounts.body_seal(claim).open(claim.body, "request")
    assert plain == (
        b'{"model":"gpt-5-nano","messages":[{"role":"user","content":"Hello"}],"temperature":1.0}'
    )
    assert claim.max_attempts == 3
    assert (
        await customer.gateway.submit(customer.key, idempotency_key="k", temperature=1.0)
    ).json()["id"] == new
    listed = (await customer.call("GET", "?limit=1")).json()["data"][0]
    assert (listed["retried_from"], listed["idempotency_key"]) == (request_id, "k")


@pytest.mark.parametrize("state", ["queued", "completed", "cancelled"])
async def test_only_a_failed_request_is_retried(customer: Customer, state: str) -> None:
    request_id = await customer.submit()
    if state == "completed":
        await customer.complete(request_id)
    if state == "cancelled":
        await customer.call("POST", f"/{request_id}/cancel")

    answer = await customer.call("POST", f"/{request_id}/retry")

    assert _code(answer) == (409, "not_failed")
    assert state in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", ["{", "[]", '{"wait":1}', '{"max_attempts":0}'])
async def test_a_retry_with_a_bad_body_is_refused(customer: Customer, body: str) -> None:
    request_id = await customer.submit()
    await customer.fail(request_id)

    answer = await customer.call("POST", f"/{request_id}/retry", content=body)

    assert answer.status_code == 400


async def test_an_erased_request_keeps_what_happened_and_loses_its_content(
    customer: Customer,
) -> None:
    request_id = await customer.submit()
    await customer.fail(request_id)

    erased = await customer.call("DELETE", f"/{request_id}")
    again = await customer.call("DELETE", f"/{request_id}")

    assert [one.json()["status"] for one in (erased, again)] == ["failed", "failed"]
    attempt = (await customer.call("GET", f"/{request_id}/attempts")).json()["data"][0]
    assert (attempt["status_code"], attempt["provider_error"]) == (400, None)
    assert _code(await customer.call("POST", f"/{request_id}/retry")) == (410, "result_erased")
    for table in ("bodies", "body_keys"):
        kept = f"SELECT count(*) FROM {table} WHERE request_id = $1"  # noqa: S608  # constants
        assert await customer.ledger.sql.fetchval(kept, request_id) == 0


async def test_an_open_request_that_is_erased_is_cancelled(customer: Customer) -> None:
    request_id = await customer.submit()

    erased = await customer.call("DELETE", f"/{request_id}")

    assert erased.json()["status"] == "cancelled"
    assert (await customer.ledger.claim(request_id)) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", ""), ("GET", ""), ("GET", "/attempts")],
)
async def test_anothers_request_and_one_that_never_was_look_the_same(
    customer: Customer, accounts: AccountsStandIn, method: str, path: str
) -> None:
    request_id = await customer.submit()
    project_id = accounts.of(customer.key).project_id
    customer.key = accounts.issue()
    other = await customer.call(method, f"/{request_id}{path}")
    never = await customer.call(method, f"/rr_01kav5m9x3f8q2r7t6w4y1z0bc{path}")
    customer.key = accounts.issue("test", None, project_id=project_id)
    other_mode = await customer.call(method, f"/{request_id}{path}")

    assert other.content == never.content == other_mode.content
    assert _code(other) == (404, "request_not_found")


async def test_a_list_shows_nobody_elses_requests(
    customer: Customer, accounts: AccountsStandIn
) -> None:
    await customer.submit()
    customer.key = accounts.issue()

    page = (await customer.call("GET", "")).json()

    assert page == {
        "object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False,
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path"), [("POST", "/cancel"), ("DELETE", "")])
async def test_a_signed_change_is_made_once(
    customer: Customer, accounts: AccountsStandIn, method: str, path: str
) -> None:
    key = accounts.issue("live", SECRET)
    request_id = (await submit(customer.gateway, key)).json()["id"]
    target = f"/v1/requests/{request_id}{path}"

    first = await call(customer.gateway, key, method, target, nonce=NONCE)
    again = await call(customer.gateway, key, method, target, nonce=NONCE)

    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert _code(again) == (401, "nonce_reused")


async def test_the_models_are_the_providers_own_list(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    answer = await gateway.get(accounts.issue(), "/v1/models")

    assert answer.status_code == 200
    assert answer.content == (
        b'{"object":"list","data":[ {"id":"gpt-5-nano", "object":"model", "created":1.0} ]}'
    )


async def test_a_provider_that_tells_no_models_is_a_503(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    answer = await gateway.get(accounts.issue("test"), "/v1/models")

    assert _code(answer) == (503, "unavailable")
    assert "retry-after" in answer.headers


class TestDropIn:
    """What a stock SDK expects."""

    @pytest.fixture
    def drop_in(self, customer: Customer, accounts: AccountsStandIn) -> Customer:
        customer.key = accounts.issue("live", None, is_drop_in=True)
        return customer

    async def _start(self, drop_in: Customer, **fields: Any) -> tuple[Any, str]:
        waiting = asyncio.create_task(
            drop_in.gateway.submit(drop_in.key, idempotency_key="k", **fields)
        )
        return waiting, await drop_in.submit(idempotency_key="k", wait=False)

    async def test_it_waits_without_being_asked(self, drop_in: Customer) -> None:
        waiting, request_id = await self._start(drop_in)
        await drop_in.complete(request_id)

        assert (await waiting).content == RESULT

    async def test_a_failure_has_the_providers_own_status_and_body(self, drop_in: Customer) -> None:
        waiting, request_id = await self._start(drop_in)
        await drop_in.fail(request_id)

        answer = await waiting

        assert (answer.status_code, answer.content) == (400, ERROR)
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["x-reqrun-request-id"] == request_id

    async def test_a_failure_without_an_answer_has_one_of_ours(self, drop_in: Customer) -> None:
        waiting, request_id = await self._start(drop_in)
        claim = await drop_in.claim(request_id)
        timed_out = ending(
            claim,
            state=State.FAILED,
            outcome=Outcome.AMBIGUOUS,
            error_code="provider_timeout",
            result=None,
        )
        await drop_in.ledger.finish(timed_out)

        assert _code(await waiting) == (504, "provider_timeout")

    async def test_a_wait_that_ends_early_is_a_504_that_names_the_request(
        self, drop_in: Customer
    ) -> None:
        answer = await drop_in.gateway.submit(drop_in.key, wait_timeout=0.2)

        assert _code(answer) == (504, "wait_timeout")
        assert answer.headers["x-reqrun-request-id"] in answer.json()["error"]["message"]
        assert answer.headers["x-should-retry"] == "false"

    async def test_with_a_key_a_repeat_is_safe_and_the_sdk_is_told(self, drop_in: Customer) -> None:
        headers = bearer(drop_in.key) | {"idempotency-key": "k", "prefer": "wait=1"}
        answer = await drop_in.gateway.client.post(
            "/v1/chat/completions", json=SUBMISSION, headers=headers
        )

        assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "true")

    async def test_who_says_not_to_wait_gets_the_asynchronous_shape(
        self, drop_in: Customer
    ) -> None:
        answer = await drop_in.gateway.submit(drop_in.key, wait=False)

        assert answer.json()["object"] == "chat.completion.async"
