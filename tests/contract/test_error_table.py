"""Every code of the error table, caused by a real call on a running gateway.

The table (code, status, the call that caused it) is written as Markdown to the file that the
environment names as REQRUN_TABLE.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import pytest

from deploy.local.ports import free_ports
from libs.common.crypto import issue_api_key
from libs.ledger.states import Outcome, State
from services.gateway.api import openapi
from services.gateway.settings import Settings
from tests.support.accounts_stand_in import LIMITS, AccountsStandIn
from tests.support.gateways import SUBMISSION, Gateway, bearer
from tests.support.ledgers import Bench, ending
from tests.support.raw_http import RawAnswer, RawConnection, post
from tests.support.signing import SECRET, signed

CHAT: Final = "/v1/chat/completions"
BODY: Final = json.dumps(SUBMISSION).encode()
DOCUMENT: Final = msgspec.json.decode(openapi.DOCUMENT)
SOME_ID: Final = "rr_01kav5m9x3f8q2r7t6w4y1z0bc"
FAILURES: Final = 3

_addresses = count(1)


class Told(msgspec.Struct, frozen=True):
    """What came back, and to what."""

    method: str
    path: str
    answer: RawAnswer


class Caller:
    """Makes calls from a client address of its own, so that failures count for nobody else."""

    def __init__(self, gateway: Gateway, accounts: AccountsStandIn, ledger: Bench) -> None:
        self.gateway, self.accounts, self.ledger = gateway, accounts, ledger
        self.address = f"192.0.2.{next(_addresses)}"

    def issue(self, **changes: Any) -> str:
        """A key; `limits` over the usual ones."""
        limits = msgspec.structs.replace(LIMITS, **changes.pop("limits", {}))
        return self.accounts.issue("live", limits=limits, **changes)

    async def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Told:
        """Any call."""
        found = await self.gateway.client.request(
            method,
            path,
            content=body,
            headers={"x-forwarded-for": self.address, **(headers or {})},
        )
        return Told(method, path, _raw(found))

    async def submit(self, key: str, body: bytes = BODY, **headers: str) -> Told:
        """POST a chat completion."""
        return await self.call("POST", CHAT, {**bearer(key), **headers}, body)

    async def accepted(self, key: str, **fields: Any) -> str:
        """The id of a new request."""
        told = await self.submit(key, json.dumps({**SUBMISSION, **fields}).encode())
        return str(told.answer.json()["id"])

    async def end(self, request_id: str, state: State) -> None:
        """As an executor ends it."""
        claim = (await self.ledger.claim(request_id))[0]
        is_good = state is State.COMPLETED
        finish = ending(
            claim,
            state=state,
            outcome=Outcome.COMPLETED if is_good else Outcome.PERMANENT,
            error_code=None if is_good else "provider_rejected",
        )
        await self.ledger.finish(self.accounts.sealed(claim, finish))


def _raw(answer: httpx2.Response) -> RawAnswer:
    return RawAnswer(answer.status_code, dict(answer.headers), answer.content)


Cause = Callable[[Caller], Awaitable[Told]]
CAUSES: dict[str, tuple[str, Cause]] = {}


def causes(code: str, how: str) -> Callable[[Cause], Cause]:
    """Of an error `code`; `how`: in words for the table."""

    def keep(cause: Cause) -> Cause:
        CAUSES[code] = (how, cause)
        return cause

    return keep


@causes("invalid_json", "submit `{`")
async def _invalid_json(caller: Caller) -> Told:
    return await caller.submit(caller.issue(), b"{")


@causes("invalid_body", "submit without `messages`")
async def _invalid_body(caller: Caller) -> Told:
    return await caller.submit(caller.issue(), b'{"model":"m"}')


@causes("invalid_header", "submit with `Content-Encoding: gzip`")
async def _invalid_header(caller: Caller) -> Told:
    return await caller.submit(caller.issue(), BODY, **{"content-encoding": "gzip"})


@causes("unsupported_parameter", "submit with `stream: true`")
async def _unsupported_parameter(caller: Caller) -> Told:
    return await caller.submit(caller.issue(), json.dumps({**SUBMISSION, "stream": True}).encode())


@causes("no_provider_connection", "submit with a live key of a project without a provider")
async def _no_provider_connection(caller: Caller) -> Told:
    return await caller.submit(caller.issue(connection_id=None))


@causes("request_timeout", "submit with a length of one byte more than what is sent")
async def _request_timeout(caller: Caller) -> Told:
    head = post(
        caller.issue(), f"Content-Length: {len(BODY) + 1}", f"X-Forwarded-For: {caller.address}"
    )
    async with await RawConnection.open(caller.gateway.settings.port) as raw:
        await raw.send(head + BODY)
        return Told("POST", CHAT, await raw.read())


@causes("missing_api_key", "submit without `Authorization`")
async def _missing_api_key(caller: Caller) -> Told:
    return await caller.call("POST", CHAT, body=BODY)


@causes("invalid_api_key", "submit with a well-formed key that was never issued")
async def _invalid_api_key(caller: Caller) -> Told:
    return await caller.submit(issue_api_key("live"))


@causes("missing_signature", "submit unsigned with a key that has a signing secret")
async def _missing_signature(caller: Caller) -> Told:
    return await caller.submit(caller.issue(signing_secret=SECRET))


@causes("invalid_signature", "submit signed with another secret")
async def _invalid_signature(caller: Caller) -> Told:
    key = caller.issue(signing_secret=SECRET)
    return await caller.call("POST", CHAT, signed(key, "POST", CHAT, BODY, secret="another"), BODY)


@causes("stale_timestamp", "submit signed ten minutes ago")
async def _stale_timestamp(caller: Caller) -> Told:
    key = caller.issue(signing_secret=SECRET)
    timestamp = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    headers = signed(key, "POST", CHAT, BODY, timestamp=timestamp)
    return await caller.call("POST", CHAT, headers, BODY)


@causes("nonce_reused", "submit the same signed call twice")
async def _nonce_reused(caller: Caller) -> Told:
    headers = signed(caller.issue(signing_secret=SECRET), "POST", CHAT, BODY)
    assert (await caller.call("POST", CHAT, headers, BODY)).answer.status == 200
    return await caller.call("POST", CHAT, headers, BODY)


@causes("project_suspended", "submit for a suspended project")
async def _project_suspended(caller: Caller) -> Told:
    return await caller.submit(caller.issue(is_suspended=True))


@causes("address_not_allowed", "submit from outside the project's networks")
async def _address_not_allowed(caller: Caller) -> Told:
    return await caller.submit(caller.issue(allowed_addresses=("10.0.0.0/8",)))


@causes("request_not_found", "look at an id that is nobody's")
async def _request_not_found(caller: Caller) -> Told:
    return await caller.call("GET", f"/v1/requests/{SOME_ID}", bearer(caller.issue()))


@causes("route_not_found", "look at a path that is none")
async def _route_not_found(caller: Caller) -> Told:
    return await caller.call("GET", "/v1/nothing", bearer(caller.issue()))


@causes("method_not_allowed", "PUT a chat completion")
async def _method_not_allowed(caller: Caller) -> Told:
    return await caller.call("PUT", CHAT, bearer(caller.issue()), BODY)


@causes("idempotency_conflict", "submit two bodies under one idempotency key")
async def _idempotency_conflict(caller: Caller) -> Told:
    key = caller.issue()
    await caller.accepted(key, idempotency_key="k")
    other = json.dumps({**SUBMISSION, "model": "other", "idempotency_key": "k"}).encode()
    return await caller.submit(key, other)


@causes("already_finished", "cancel a completed request")
async def _already_finished(caller: Caller) -> Told:
    key = caller.issue()
    request_id = await caller.accepted(key)
    await caller.end(request_id, State.COMPLETED)
    return await caller.call("POST", f"/v1/requests/{request_id}/cancel", bearer(key))


@causes("not_failed", "retry a queued request")
async def _not_failed(caller: Caller) -> Told:
    key = caller.issue()
    request_id = await caller.accepted(key)
    return await caller.call("POST", f"/v1/requests/{request_id}/retry", bearer(key))


@causes("result_erased", "repeat the idempotency key of an erased request")
async def _result_erased(caller: Caller) -> Told:
    key = caller.issue()
    request_id = await caller.accepted(key, idempotency_key="k")
    await caller.end(request_id, State.COMPLETED)
    erased = await caller.call("DELETE", f"/v1/requests/{request_id}", bearer(key))
    assert erased.answer.status == 200
    return await caller.submit(key, json.dumps({**SUBMISSION, "idempotency_key": "k"}).encode())


@causes("body_too_large", "submit more bytes than the plan allows")
async def _body_too_large(caller: Caller) -> Told:
    return await caller.submit(caller.issue(limits={"body_bytes": len(BODY) - 1}))


@causes("rate_limit_exceeded", "submit twice where one a minute is allowed")
async def _rate_limit_exceeded(caller: Caller) -> Told:
    key = caller.issue(limits={"requests_per_minute": 1})
    await caller.accepted(key)
    return await caller.submit(key)


@causes("pending_limit_exceeded", "submit a second request where one may be open")
async def _pending_limit_exceeded(caller: Caller) -> Told:
    key = caller.issue(limits={"pending": 1})
    await caller.accepted(key)
    return await caller.submit(key)


@causes("monthly_quota_exceeded", "submit a second request where one a month is allowed")
async def _monthly_quota_exceeded(caller: Caller) -> Told:
    key = caller.issue(limits={"requests_per_month": 1})
    await caller.accepted(key)
    return await caller.submit(key)


@causes("address_rate_limited", "submit with made-up keys until the address has failed too often")
async def _address_rate_limited(caller: Caller) -> Told:
    for _ in range(FAILURES):
        assert (await caller.submit(issue_api_key("live"))).answer.code == "invalid_api_key"
    return await caller.submit(issue_api_key("live"))


@causes("unavailable", "submit with a new key while accounts does not answer")
async def _unavailable(caller: Caller) -> Told:
    key = caller.issue()
    caller.accounts.silence()
    try:
        return await caller.submit(key)
    finally:
        caller.accounts.speak()


@causes("wait_timeout", "submit with a drop-in key and wait 0.1 s for what takes longer")
async def _wait_timeout(caller: Caller) -> Told:
    body = json.dumps({**SUBMISSION, "wait_timeout": 0.1}).encode()
    return await caller.submit(caller.issue(is_drop_in=True), body)


@causes("internal_error", "look at a request in a state that this version does not know")
async def _internal_error(caller: Caller) -> Told:
    key = caller.issue()
    request_id = await caller.accepted(key)
    sql = caller.ledger.sql
    await sql.execute("ALTER TABLE live DROP CONSTRAINT live_state_check")
    await sql.execute("UPDATE live SET state = 'dreaming' WHERE id = $1", request_id)
    return await caller.call("GET", f"/v1/requests/{request_id}", bearer(key))


class Row(msgspec.Struct, frozen=True):
    """One of the table."""

    status: int
    kind: str
    code: str
    how: str


@pytest.fixture(scope="module")
def table() -> Iterator[list[Row]]:
    """Collected, and written where somebody wants it."""
    rows: list[Row] = []
    yield rows
    file = os.environ.get("REQRUN_TABLE")
    if file:
        lines = ["| HTTP | type | code | caused by |", "|---|---|---|---|"]
        rows.sort(key=lambda row: (row.status, row.code))
        lines += [f"| {row.status} | `{row.kind}` | `{row.code}` | {row.how} |" for row in rows]
        Path(file).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
async def strict(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway of little patience, behind a proxy that says where calls come from."""
    own = msgspec.structs.replace(
        settings,
        body_timeout=timedelta(seconds=1),
        trusted_proxies=("127.0.0.1",),
        failures_a_minute=FAILURES,
        port=free_ports(),
        internal_port=free_ports(),
    )
    async with Gateway.running(own) as running:
        yield running


@pytest.fixture
def caller(strict: Gateway, accounts: AccountsStandIn, ledger: Bench) -> Caller:
    return Caller(strict, accounts, ledger)


def _operations() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Method, path and responses of every operation."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method.upper(), path, operation["responses"]


def _codes(responses: Mapping[str, Any]) -> set[tuple[int, str]]:
    return {
        (int(status), code)
        for status, response in responses.items()
        if int(status) >= 400
        for code in response["content"]["application/json"]["examples"]
    }


def _operation(told: Told) -> Mapping[str, Any] | None:
    """The responses of the operation that was called; None where there is no such operation."""
    for method, path, responses in _operations():
        pattern = re.sub(r"\{\w+\}", "[^/]+", path)
        if method == told.method and re.fullmatch(pattern, told.path):
            return responses
    return None


UNTOLD: Final = {"date", "content-type", "content-length", "connection"}


def _is_documented(told: Told) -> bool:
    """Code and headers, by the operation that was called."""
    responses, answer = _operation(told), told.answer
    if responses is None:
        return answer.status in (404, 405)
    headers = {name.lower() for name in responses[str(answer.status)]["headers"]}
    assert set(answer.headers) - UNTOLD <= headers
    return (answer.status, answer.code) in _codes(responses)


HEALING: Final = {429, 503, 504}


@pytest.mark.parametrize("code", CAUSES)
async def test_each_code_is_caused_by_a_call(caller: Caller, table: list[Row], code: str) -> None:
    how, cause = CAUSES[code]

    told = await cause(caller)

    answer, error = told.answer, told.answer.json()["error"]
    assert answer.code == code, answer
    assert (list(answer.json()), list(error)) == (["error"], ["message", "type", "code"])
    assert all(isinstance(text, str) and text for text in error.values())
    assert _is_documented(told)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    assert ("allow" in answer.headers) == (answer.status == 405)
    assert ("retry-after" in answer.headers) == (answer.status in HEALING)
    assert int(answer.headers.get("retry-after", "1")) >= 1
    is_submission = told.method == "POST" and not told.path.endswith("/cancel")
    assert ("x-should-retry" in answer.headers) == is_submission
    table.append(Row(answer.status, error["type"], code, how))


def test_the_codes_of_the_document_are_all_here_and_no_others() -> None:
    documented = {code for _, _, responses in _operations() for _, code in _codes(responses)}

    assert set(CAUSES) == documented


TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "not_found_error",
    409: "conflict_error",
    410: "conflict_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "api_error",
}


def test_every_status_has_its_type_in_the_document() -> None:
    for _, _, responses in _operations():
        for status, response in responses.items():
            for example in response["content"]["application/json"]["examples"].values():
                if int(status) >= 400:
                    assert example["value"]["error"]["type"] == TYPES[int(status)]


@pytest.mark.parametrize("code", ["unavailable", "wait_timeout", "pending_limit_exceeded"])
async def test_what_heals_may_be_sent_again_only_with_an_idempotency_key(
    caller: Caller, code: str
) -> None:
    """The stock SDKs obey this header, and without a key they would make a second request."""
    submit = caller.submit

    async def submit_with_key(key: str, body: bytes = BODY, **headers: str) -> Told:
        return await submit(key, body, **headers, **{"idempotency-key": f"k{next(_addresses)}"})

    without = await CAUSES[code][1](caller)
    caller.submit = submit_with_key  # type: ignore[method-assign]  # the same calls with a key
    joining = await CAUSES[code][1](caller)

    assert without.answer.headers["x-should-retry"] == "false"
    assert joining.answer.headers["x-should-retry"] == "true"


async def test_a_silent_accounts_is_told_to_everybody_within_three_seconds(
    caller: Caller,
) -> None:
    async with asyncio.timeout(3):
        told = await _unavailable(caller)

    assert told.answer.status == 503
