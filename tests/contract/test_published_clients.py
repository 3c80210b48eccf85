"""Clients written for the published API work unchanged: what each puts on the wire, to the byte.

The forms are written to the wire facts that were observed of each client, not taken from any.
"""

import asyncio
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
import msgspec
import pytest

from libs.ledger.states import Outcome, State
from tests.support import node
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, ending
from tests.support.raw_http import RawAnswer, RawConnection
from tests.support.waiting import until

CHAT: Final = "/v1/chat/completions"
SECRET: Final = "reqrun_secret_of_a_published_client"
RESULT: Final = b'{"id":"chatcmpl_1","object":"chat.completion","choices":[]}'
STATUS_FIELDS: Final = [
    "id", "status", "attempts", "created_at", "updated_at", "last_error_code", "result",
]  # fmt: skip


def milliseconds() -> str:
    """As JavaScript's toISOString."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def sign(timestamp: str, nonce: str, method: str, path: str, body: bytes) -> str:
    text = f"{method}\n{path}\n{timestamp}\n{nonce}\n{hashlib.sha256(body).hexdigest()}"
    return "v1=" + hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """How a client writes: its headers besides ours, how it spells ours, its clock's form."""

    extra: tuple[str, ...] = ()
    on_post: tuple[str, ...] = ()
    on_get: tuple[str, ...] = ()
    spell: Callable[[str], str] = str
    timestamp: Callable[[], str] = milliseconds
    nonce: Callable[[], str] = lambda: uuid.uuid4().hex


NODE: Final = (
    "connection: keep-alive",
    "accept: */*",
    "accept-language: *",
    "sec-fetch-mode: cors",
    "user-agent: node",
    "accept-encoding: gzip, deflate",
)
JSON_TYPE: Final = ("Content-Type: application/json",)
EXPRESS: Final = Wire(extra=NODE, on_post=JSON_TYPE)
QUICKSTART: Final = Wire(extra=NODE, on_post=JSON_TYPE, on_get=JSON_TYPE)
WORKER: Final = Wire(
    extra=("CF-Worker: example.workers.dev", "Accept-Encoding: br, gzip"),
    on_post=("content-type: application/json; charset=utf-8",),
    spell=str.lower,
)
CLIENTS: Final = {"express": EXPRESS, "quickstart": QUICKSTART, "worker": WORKER}


class Client:
    """A key that must sign, spoken for over a raw socket."""

    def __init__(self, gateway: Gateway, accounts: AccountsStandIn, ledger: Bench) -> None:
        self.gateway, self.accounts, self.ledger = gateway, accounts, ledger
        self.key = accounts.issue("live", SECRET)

    async def post(self, wire: Wire, body: bytes, path: str = CHAT) -> RawAnswer:
        head = self._head(wire, "POST", path, body)
        return await self._send([*head, *wire.on_post, f"content-length: {len(body)}"], body)

    async def get(self, wire: Wire, path: str, sent_path: str | None = None) -> RawAnswer:
        """`path` is signed; it is also what is sent, unless that is another."""
        first, *head = self._head(wire, "GET", path, b"")
        first = first.replace(path, sent_path or path)
        return await self._send([first, *head, *wire.on_get], b"")

    async def submit(self, wire: Wire, **fields: Any) -> RawAnswer:
        """The body as every published client builds it: raw UTF-8, members in this order."""
        plain = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Grüße ☃"}]}
        body = json.dumps({**plain, **fields}, ensure_ascii=False, separators=(",", ":"))
        return await self.post(wire, body.encode())

    async def finish(self, request_id: str, state: State = State.COMPLETED) -> None:
        """As an executor ends it."""
        claim = (await self.ledger.claim(request_id))[0]
        is_good = state is State.COMPLETED
        end = ending(
            claim,
            state=state,
            outcome=Outcome.COMPLETED if is_good else Outcome.PERMANENT,
            error_code=None if is_good else "provider_rejected",
            result=RESULT if is_good else None,
        )
        await self.ledger.finish(self.accounts.sealed(claim, end))

    async def the_stored(self) -> str:
        """The one open request of this client, once it is there."""
        found: list[str] = []
        find = "SELECT id FROM live WHERE project_id = $1"
        project_id = self.accounts.of(self.key).project_id

        async def is_there() -> bool:
            found.extend(row["id"] for row in await self.ledger.sql.fetch(find, project_id))
            return bool(found)

        await until(is_there)
        return found[0]

    def _head(self, wire: Wire, method: str, path: str, body: bytes) -> list[str]:
        timestamp, nonce = wire.timestamp(), wire.nonce()
        ours = {
            "Authorization": f"Bearer {self.key}",
            "X-ReqRun-Timestamp": timestamp,
            "X-ReqRun-Nonce": nonce,
            "X-ReqRun-Signature": sign(timestamp, nonce, method, path, body),
        }
        lines = [f"{wire.spell(name)}: {value}" for name, value in ours.items()]
        return [f"{method} {path} HTTP/1.1", "Host: localhost", *lines, *wire.extra]

    async def _send(self, lines: list[str], body: bytes) -> RawAnswer:
        async with await RawConnection.open(self.gateway.settings.port) as raw:
            await raw.send("\r\n".join([*lines, "", ""]).encode() + body)
            return await raw.read()


@pytest.fixture
def client(gateway: Gateway, accounts: AccountsStandIn, ledger: Bench) -> Client:
    return Client(gateway, accounts, ledger)


def is_accepted(answer: RawAnswer) -> bool:
    """As the clients tell it: by `object` alone."""
    return answer.status == 200 and answer.json()["object"] == "chat.completion.async"


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_submits_and_looks_until_it_is_completed(client: Client, name: str) -> None:
    wire = CLIENTS[name]
    accepted = await client.submit(wire, wait=False, idempotency_key=f"{name}-{uuid.uuid4()}")
    assert is_accepted(accepted), accepted
    request_id = accepted.json()["id"]
    path = f"/v1/requests/{request_id}"
    queued = await client.get(wire, path)
    await client.finish(request_id)
    completed = await client.get(wire, path)

    assert (queued.status, list(queued.json()), queued.json()["status"]) == (
        200,
        STATUS_FIELDS,
        "queued",
    )
    assert (completed.status, list(completed.json())) == (200, STATUS_FIELDS)
    assert completed.json()["result"]["object"] == "chat.completion"
    assert re.fullmatch(r"rr_[0-9a-z]+", request_id)  # nothing that a URL would encode


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_that_waits_gets_the_providers_body(client: Client, name: str) -> None:
    waiting = asyncio.create_task(client.submit(CLIENTS[name], wait=True, idempotency_key="once"))
    await client.finish(await client.the_stored())

    answer = await waiting

    assert (answer.status, answer.body) == (200, RESULT)


async def test_a_client_that_waits_for_a_failure_gets_a_200_that_says_failed(
    client: Client,
) -> None:
    waiting = asyncio.create_task(client.submit(EXPRESS, wait=True))
    await client.finish(await client.the_stored(), State.FAILED)

    answer = await waiting

    assert is_accepted(answer)
    assert answer.json()["status"] == "failed"


SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "as published": str,
    "lower": str.lower,
    "upper": str.upper,
    "swapped": str.swapcase,
    "titled": str.title,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_header_names_are_taken_in_any_case(client: Client, spelling: str) -> None:
    answer = await client.submit(Wire(spell=SPELLINGS[spelling]), wait=False)

    assert is_accepted(answer)


CONTENT_TYPES: Final = [
    (),
    ("Content-Type: application/json",),
    ("content-type: application/json; charset=utf-8",),
    ("CONTENT-TYPE: Application/JSON;charset=UTF-8",),
    ("Content-Type: text/plain;charset=UTF-8",),
    ("Content-Type:",),
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=str)
async def test_the_content_type_of_a_submission_is_not_looked_at(
    client: Client, content_type: tuple[str, ...]
) -> None:
    assert is_accepted(await client.submit(Wire(on_post=content_type), wait=False))


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=str)
async def test_a_get_may_name_the_type_of_the_body_that_it_does_not_have(
    client: Client, content_type: tuple[str, ...]
) -> None:
    request_id = (await client.submit(EXPRESS)).json()["id"]
    wire = Wire(on_get=(*content_type, "content-length: 0"))

    answer = await client.get(wire, f"/v1/requests/{request_id}")

    assert (answer.status, answer.json()["id"]) == (200, request_id)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"wait": False},
        {"wait": False, "idempotency_key": None},
        {"wait": False, "idempotency_key": "daily-summary-2026-11-22"},
        {"wait": False, "stream": False},
        {"wait": None},
    ],
    ids=str,
)
async def test_what_clients_say_and_leave_out_is_taken(
    client: Client, fields: dict[str, Any]
) -> None:
    assert is_accepted(await client.submit(EXPRESS, **fields))


@pytest.mark.parametrize("key", [5, "", "k" * 256, ["k"]], ids=["number", "empty", "long", "list"])
async def test_a_key_that_is_passed_on_unchecked_is_refused_in_json(
    client: Client, key: Any
) -> None:
    """The worker hands over whatever it was given, and relays our status and text."""
    answer = await client.submit(WORKER, idempotency_key=key)

    assert (answer.status, answer.code) == (400, "invalid_body")


TIMESTAMPS: Final[dict[str, Callable[[], str]]] = {
    "milliseconds and Z": milliseconds,
    "microseconds and +00:00": lambda: datetime.now(UTC).isoformat(timespec="microseconds"),
    "microseconds and Z": lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    "whole seconds and Z": lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "whole seconds and +00:00": lambda: datetime.now(UTC).isoformat(timespec="seconds"),
    "nanoseconds and Z": lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f789Z"),
}


@pytest.mark.parametrize("form", TIMESTAMPS)
async def test_a_timestamp_may_be_as_exact_as_its_clock(client: Client, form: str) -> None:
    assert is_accepted(await client.submit(Wire(timestamp=TIMESTAMPS[form])))


@pytest.mark.parametrize("nonce", [lambda: str(uuid.uuid4()), lambda: "AZaz09+/" * 4])
async def test_a_nonce_may_be_any_unique_text(client: Client, nonce: Callable[[], str]) -> None:
    assert is_accepted(await client.submit(Wire(nonce=nonce)))


async def test_a_fixed_key_finds_its_request_again_in_every_state(client: Client) -> None:
    """The snippet for GitHub Actions exits with 0 only on a 2xx, and always sends this key."""
    fixed = {"wait": False, "idempotency_key": "github-actions-example"}
    first = await client.submit(QUICKSTART, **fixed)
    again = await client.submit(QUICKSTART, **fixed)
    await client.finish(first.json()["id"])
    completed = await client.submit(QUICKSTART, **fixed)

    assert is_accepted(first)
    assert is_accepted(again)
    assert first.json()["id"] == again.json()["id"]
    assert (completed.status, completed.body) == (200, RESULT)


async def test_a_failed_request_is_told_again_under_its_key(client: Client) -> None:
    fixed = {"wait": False, "idempotency_key": "github-actions-example"}
    request_id = (await client.submit(QUICKSTART, **fixed)).json()["id"]
    await client.finish(request_id, State.FAILED)

    again = await client.submit(QUICKSTART, **fixed)

    assert is_accepted(again)
    assert (again.json()["id"], again.json()["status"]) == (request_id, "failed")


async def test_the_python_form_sends_a_text_and_no_content_type(client: Client) -> None:
    plain = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "é ☃"}]}
    body = json.dumps(
        {**plain, "wait": False, "idempotency_key": "job-1"},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    timestamp, nonce = datetime.now(UTC).isoformat(), uuid.uuid4().hex
    headers = {
        "Authorization": f"Bearer {client.key}",
        "X-ReqRun-Timestamp": timestamp,
        "X-ReqRun-Nonce": nonce,
        "X-ReqRun-Signature": sign(timestamp, nonce, "POST", CHAT, body.encode()),
    }
    url = f"http://127.0.0.1:{client.gateway.settings.port}{CHAT}"
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
        request = http.build_request("POST", url, content=body, headers=headers)
        assert "content-type" not in request.headers
        answer = await http.send(request)

    answer.raise_for_status()
    assert answer.json()["object"] == "chat.completion.async"


FETCH: Final = """
const {createHash, createHmac, randomUUID} = await import('node:crypto');
const [origin, key, secret] = process.argv.slice(1);
const path = '/v1/chat/completions';
const body = JSON.stringify({model: 'gpt-5-nano', wait: false,
  messages: [{role: 'user', content: 'Grüße ☃'}], idempotency_key: 'github-actions-example'});
const at = new Date().toISOString(), nonce = randomUUID().replaceAll('-', '');
const text = ['POST', path, at, nonce, createHash('sha256').update(body).digest('hex')].join('\\n');
const mac = createHmac('sha256', secret).update(text).digest('hex');
const answer = await fetch(origin + path, {method: 'POST', body, headers: {
  Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', 'X-ReqRun-Timestamp': at,
  'X-ReqRun-Nonce': nonce, 'X-ReqRun-Signature': `v1=${mac}`}});
console.log(await answer.text());
process.exit(answer.ok ? 0 : 1);
"""


async def test_nodes_own_fetch_gets_its_2xx_twice(client: Client) -> None:
    """Whatever headers it adds in this version of Node."""
    origin = f"http://127.0.0.1:{client.gateway.settings.port}"
    answers = []
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            node.program(), "--input-type=module", "-e", FETCH, origin, client.key, SECRET,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told, _ = await process.communicate()
        assert process.returncode == 0, told
        answers.append(json.loads(told))

    assert answers[0]["object"] == "chat.completion.async"
    assert answers[0]["id"] == answers[1]["id"]


async def test_every_error_is_json_with_a_status_that_is_no_2xx(client: Client) -> None:
    """The express client reads every answer as JSON, whatever its status."""
    answers = [
        await client.get(EXPRESS, "/v1/requests/rr_abc123"),
        await client.get(EXPRESS, "/v1/nothing"),
        await client.get(EXPRESS, CHAT),
        await client.post(EXPRESS, b"{", CHAT),
        await client.post(EXPRESS, b" " * (2 * 1024 * 1024 + 1), CHAT),
        await client.post(EXPRESS, b"{}", "/v1/requests/rr_abc123"),
    ]

    assert [answer.status for answer in answers] == [404, 404, 405, 400, 413, 405]
    for answer in answers:
        assert answer.headers["content-type"] == "application/json"
        assert list(answer.json()["error"]) == ["message", "type", "code"]


@pytest.mark.parametrize(
    ("signed_path", "code"),
    [("/v1/requests/rr_a%20b", "request_not_found"), ("/v1/requests/rr_a b", "invalid_signature")],
)
async def test_an_id_that_needs_encoding_is_nobodys_and_still_answered_in_json(
    client: Client, signed_path: str, code: str
) -> None:
    """Express signs the path decoded; for our ids, which are URL-safe, that is the same."""
    answer = await client.get(EXPRESS, signed_path, "/v1/requests/rr_a%20b")

    assert answer.code == code
