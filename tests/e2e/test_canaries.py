"""Prompts, answers, provider errors and secrets, sent down every path, are written down nowhere.

Searched are the logs of every process and server, metrics, traces, event bodies, our own error
bodies, and the data directories of PostgreSQL (its WAL included), RabbitMQ and Redis. A control
that is written down on purpose is found in each of them, so that the search can fail.
"""

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import aio_pika
import httpx2
import pytest

from deploy.local.processes import INTERNAL
from deploy.local.site import port_name
from tests.support.canaries import Hit, Search, size
from tests.support.checker_sources import ask, drained
from tests.support.collector import Collector, collector
from tests.support.raw_server import RawServer, raw_server, reply
from tests.support.stack import System, running_system
from tests.support.waiting import until

CHAT: Final = "/v1/chat/completions"
# Not one word, so that JSON, base64 and UTF-16 each write it differently.
PROMPT: Final = 'Zq7canary-prompt-"é☃"-4711-end'
ANSWER: Final = 'Zq7canary-answer-"é☃"-4711-end'
PROVIDER_ERROR: Final = 'Zq7canary-error-"é☃"-4711-end'
PROVIDER_KEY: Final = "sk-Zq7canary-provider-key-4711"
CONTROL: Final = 'Zq7canary-control-"é☃"-4711-end'
LOAD: Final = 60
MEBIBYTE: Final = 1024 * 1024

Headers = dict[str, str]


@pytest.fixture(scope="module")
def spans() -> Iterator[Collector]:
    """What the system tells of its traces, all of which are kept."""
    with collector() as kept:
        yield kept


@pytest.fixture(scope="module")
def private_system(tmp_path_factory: pytest.TempPathFactory, spans: Collector) -> Iterator[System]:
    """A whole system of this test's own: it is killed, and searched to the last file."""
    opened = {"OPEN_HOSTS": "127.0.0.1", "TRACES_URL": spans.url, "TRACES_RATIO": "1"}
    with running_system(tmp_path_factory.mktemp("logs"), settings=opened) as started:
        # Compressed, a page in the WAL would hide from the search what it holds.
        started.stack.postgresql.execute("ALTER SYSTEM SET wal_compression = off")
        started.stack.postgresql.execute("SELECT pg_reload_conf()")
        started.stack.redis.command("CONFIG", "SET", "rdbcompression", "no")
        yield started


async def _provide(
    state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """A provider that does what the model's name says, and says its canaries."""
    while await state.read_request(reader):
        sent = json.loads(state.requests[-1][1])
        status, body = _say(sent["model"], sum(b'"once' in b for _, b in state.requests))
        if sent["model"] == "hang":
            await reader.read()
            return
        writer.write(reply(status, body, "Content-Type: application/json"))
        await writer.drain()


def _say(model: str, seen: int) -> tuple[str, bytes]:
    message = f"{PROVIDER_ERROR} about {PROMPT} with {PROVIDER_KEY}"
    error = json.dumps({"error": {"message": message, "code": PROVIDER_ERROR}}).encode()
    if model == "refuse":
        return "400 Bad Request", error
    if model == "once" and seen == 1:
        return "500 Internal Server Error", error
    if model == "garbage":
        return "200 OK", f"<html>{ANSWER}".encode()
    answer = {"object": "chat.completion", "id": "chatcmpl_1", "choices": [{"text": ANSWER}]}
    return "200 OK", json.dumps(answer, ensure_ascii=model != "raw").encode()


class Paths:
    """Every way that content and secrets take. `refusals`: the bodies of our own errors."""

    def __init__(self, system: System, client: httpx2.AsyncClient) -> None:
        self.system, self.client = system, client
        self.key = self._issue()
        self.drop_in = self._issue("--drop-in")
        self.signed = self._issue("--signed")
        self.refusals: list[bytes] = []

    def _issue(self, *options: str) -> Any:
        project = self.system.seeded.project_id
        words = ("--project", project, "--mode", "live", "--name", "canary", *options)
        return self.system.operate("keys", "issue", *words)

    @property
    def secrets(self) -> dict[str, str]:
        """By name. Of keys also the part that nobody could guess."""
        keys = {"key": self.key, "drop-in key": self.drop_in, "signed key": self.signed}
        return {
            **{name: issued["key"][-40:] for name, issued in keys.items()},
            "signing secret": self.signed["signing_secret"],
        }

    async def call(
        self, method: str, path: str, body: bytes | None = None, headers: Headers | None = None
    ) -> httpx2.Response:
        given = {"authorization": f"Bearer {self.key['key']}", **(headers or {})}
        return await self.client.request(method, path, content=body, headers=given)

    async def submit(self, model: str, **fields: Any) -> httpx2.Response:
        return await self.call("POST", CHAT, _body(model, **fields))

    async def refused(self, answer: httpx2.Response, status: int) -> None:
        """Keep the body of an error of ours."""
        assert answer.status_code == status, answer.text
        self.refusals.append(answer.content)


def _body(model: str, **fields: Any) -> bytes:
    prompt = {"role": "user", "content": PROMPT}
    return json.dumps({"model": model, "messages": [prompt], "user": PROMPT, **fields}).encode()


async def finish(paths: Paths, request_id: str) -> str:
    """Wait for a request's end; its state."""
    answer = await paths.call("GET", f"/v1/requests/{request_id}?wait=30")
    return str(answer.json()["status"])


async def _completed(paths: Paths) -> None:
    for model in ("ok", "raw"):
        answer = await paths.submit(model, wait=True, idempotency_key=f"k-{model}")
        assert answer.json()["choices"][0]["text"] == ANSWER
        again = await paths.submit(model, idempotency_key=f"k-{model}")
        assert again.content == answer.content
    other = await paths.submit("other", idempotency_key="k-ok")
    await paths.refused(other, 409)


async def _large(paths: Paths) -> None:
    """More than a page of the database."""
    answer = await paths.submit("ok", wait=True, padding=[PROMPT] * 2_000)
    assert answer.json()["choices"][0]["text"] == ANSWER


async def _failed(paths: Paths) -> None:
    for model in ("refuse", "garbage"):
        answer = await paths.submit(model, wait=True, max_attempts=1)
        assert answer.json()["status"] == "failed"
        path = f"/v1/requests/{answer.json()['id']}"
        timeline = (await paths.call("GET", f"{path}/attempts")).json()["data"]
        if model == "refuse":  # its owner reads what the provider said
            assert PROVIDER_ERROR in json.loads(timeline[0]["provider_error"])["error"]["message"]
        again = await paths.call("POST", f"{path}/retry", b'{"max_attempts":1}')
        assert await finish(paths, again.json()["id"]) == "failed"


async def _failed_as_the_provider_says(paths: Paths) -> None:
    headers = {"authorization": f"Bearer {paths.drop_in['key']}"}
    answer = await paths.call("POST", CHAT, _body("refuse"), headers)
    assert answer.status_code == 400
    assert PROVIDER_ERROR in answer.json()["error"]["message"]


async def _simulated(paths: Paths) -> None:
    """The bundled provider keeps a log of its calls, and forgets what they said."""
    headers = {"authorization": f"Bearer {paths.system.seeded.test_key}"}
    for model in ("sim-ok", "sim-400", "sim-429-twice", "sim-garbage"):
        body = _body(model, wait=True, max_attempts=1)
        assert (await paths.call("POST", CHAT, body, headers)).status_code == 200


async def _retried(paths: Paths) -> None:
    answer = await paths.submit("once", wait=True)
    assert answer.json()["choices"][0]["text"] == ANSWER


async def _cancelled(paths: Paths) -> None:
    request_id = (await paths.submit("hang")).json()["id"]
    assert (await paths.call("POST", f"/v1/requests/{request_id}/cancel")).status_code == 200
    await paths.refused(await paths.call("POST", f"/v1/requests/{request_id}/cancel"), 409)


async def _erased(paths: Paths) -> None:
    answer = await paths.submit("ok", wait=True, idempotency_key="k-erased")
    request_id = answer.headers["x-reqrun-request-id"]
    assert (await paths.call("DELETE", f"/v1/requests/{request_id}")).status_code == 200
    await paths.refused(await paths.submit("ok", idempotency_key="k-erased"), 410)


async def _signed(paths: Paths) -> None:
    """A good one, a replay, one with the wrong secret, and one that says its secret aloud."""
    key, secret = paths.signed["key"], paths.signed["signing_secret"]
    body = _body("ok")
    good = _sign(key, secret, body)
    assert (await paths.call("POST", CHAT, body, good)).status_code == 200
    await paths.refused(await paths.call("POST", CHAT, body, good), 401)
    await paths.refused(await paths.call("POST", CHAT, body, _sign(key, "wrong", body)), 401)
    aloud = {**good, "x-reqrun-signature": secret, "x-reqrun-nonce": secret}
    await paths.refused(await paths.call("POST", CHAT, body, aloud), 401)


def _sign(key: str, secret: str, body: bytes) -> Headers:
    timestamp, nonce = datetime.now(UTC).isoformat(), uuid.uuid4().hex
    text = f"POST\n{CHAT}\n{timestamp}\n{nonce}\n{hashlib.sha256(body).hexdigest()}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {
        "authorization": f"Bearer {key}",
        "x-reqrun-timestamp": timestamp,
        "x-reqrun-nonce": nonce,
        "x-reqrun-signature": f"v1={mac}",
    }


async def _refused(paths: Paths) -> None:
    """Canaries where none belongs: in broken JSON, in fields, in headers, in paths."""
    quoted = json.dumps(PROMPT, ensure_ascii=False)
    bodies = [
        f"{{{quoted}:",
        quoted,
        f'{{"model":{quoted}}}',
        f'{{"model":[{quoted}],"messages":[{{}}]}}',
        f'{{"model":"m","messages":[{quoted}]}}',
        _body("ok", wait=PROMPT).decode(),
        _body("ok", stream=True).decode(),
        _body("ok").decode() + PROMPT,
    ]
    for body in bodies:
        await paths.refused(await paths.call("POST", CHAT, body.encode()), 400)
    large = _body("ok", padding=PROMPT * 80_000)
    await paths.refused(await paths.call("POST", CHAT, large), 413)
    ascii_prompt = PROMPT.encode("ascii", "ignore").decode()
    encoded = {"content-encoding": ascii_prompt}
    await paths.refused(await paths.call("POST", CHAT, b"{}", encoded), 400)
    nobody = {"authorization": f"Bearer {ascii_prompt}"}
    await paths.refused(await paths.call("POST", CHAT, b"{}", nobody), 401)
    for path in (f"/v1/{PROMPT}", f"/v1/requests/{PROMPT}"):
        await paths.refused(await paths.call("GET", path), 404)
    await paths.refused(await paths.call("GET", f"/v1/requests?status={PROMPT}"), 400)


async def _while_postgresql_is_killed(paths: Paths) -> None:
    loading = asyncio.gather(
        *(paths.submit("ok", wait=number % 2 == 0) for number in range(LOAD)),
        return_exceptions=True,
    )
    await paths.system.kill("postgresql")
    for answer in await loading:
        if isinstance(answer, httpx2.Response) and answer.status_code != 200:
            await paths.refused(answer, 503)
    await paths.system.start("postgresql")
    await until(lambda: _is_taking(paths), 60)


async def _is_taking(paths: Paths) -> bool:
    return (await paths.submit("ok")).status_code == 200


async def _while_an_executor_is_killed(paths: Paths) -> None:
    hanging = (await paths.submit("hang")).json()["id"]

    async def is_running() -> bool:
        answer = await paths.call("GET", f"/v1/requests/{hanging}")
        return bool(answer.json()["status"] == "processing")

    await until(is_running)
    await paths.system.kill("executor")
    await paths.system.start("executor")
    assert (await paths.call("POST", f"/v1/requests/{hanging}/cancel")).status_code == 200


PATHS: Final[list[Callable[[Paths], Awaitable[None]]]] = [
    _completed,
    _large,
    _failed,
    _failed_as_the_provider_says,
    _simulated,
    _retried,
    _cancelled,
    _erased,
    _signed,
    _refused,
    _while_postgresql_is_killed,
    _while_an_executor_is_killed,
]


@pytest.fixture(scope="module")
async def walked(private_system: System) -> Paths:
    """All paths walked, all work done, and what servers still held in memory on disk."""
    system = private_system
    async with raw_server(_provide) as provider:
        system.operate(
            "connections", "set", "--project", system.seeded.project_id, "--base-url", provider.url,
            settings={"REQRUN_PROVIDER_KEY": PROVIDER_KEY},
        )  # fmt: skip
        async with httpx2.AsyncClient(
            base_url=system.gateways[0], timeout=60, trust_env=False
        ) as client:
            paths = Paths(system, client)
            await until(lambda: _is_taking(paths), 30)
            for walk in PATHS:
                await walk(paths)
            await drained(system, 60)
        assert any(PROVIDER_KEY.encode() in head for head, _ in provider.requests)
    await _plant(system)
    await asyncio.to_thread(system.stack.postgresql.execute, f"{INSERT}; CHECKPOINT; {INSERT}")
    await asyncio.to_thread(system.stack.redis.command, "SAVE")
    return paths


QUEUE: Final = "canary-control"
# Before a checkpoint for the table, after it for the WAL; often: a page's end may cut one in two.
INSERT: Final = f"INSERT INTO control SELECT '{CONTROL}' FROM generate_series(1, 20)"  # noqa: S608  a constant


async def _plant(system: System) -> None:
    """The control, once in every place."""
    system.stack.postgresql.execute("CREATE TABLE control (text text)")
    system.stack.redis.command("SET", "control", CONTROL)
    with (system.stack.site.logs / "control.log").open("w", encoding="utf-8") as log:
        json.dump({"event": CONTROL}, log)
    async with await aio_pika.connect(system.stack.rabbitmq.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(CONTROL.encode(), delivery_mode=2)
        await channel.default_exchange.publish(message, QUEUE)


def _places(system: System) -> list[Path]:
    """Logs of processes; folders of servers, with their data and logs; the simulator's call log."""
    servers = [server.folder for server in system.stack.servers]
    return [system.stack.site.logs, *servers, system.call_log.parent]


def _told(system: System) -> Iterator[tuple[str, bytes]]:
    """What processes tell over HTTP."""
    for name in system.stack.processes:
        address = f"{system.stack.url(port_name(name, INTERNAL))}/metrics"
        with urlopen(address, timeout=10) as answer:  # noqa: S310  http, our own address
            yield f"metrics of {name}", answer.read()


async def _events(system: System) -> list[tuple[str, bytes]]:
    found = []
    for database in ("requests", "accounts"):
        rows = await ask(system.database_url(database), "SELECT * FROM outbox")
        found += [(f"outbox of {database}", repr(list(row.values())).encode()) for row in rows]
    return found


async def test_no_canary_is_written_down_anywhere(
    walked: Paths, spans: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    system = walked.system
    canaries = {"prompt": PROMPT, "answer": ANSWER, "provider error": PROVIDER_ERROR}
    search = Search({**canaries, "provider key": PROVIDER_KEY, **walked.secrets})
    hits: set[Hit] = set()

    for place, content in [*_told(system), *await _events(system)]:
        hits |= search.in_bytes(place, content)
    for body in walked.refusals:
        hits |= search.in_bytes("an error body", body)
    for body in spans.bodies:
        hits |= search.in_bytes("spans", body)
    hits |= await asyncio.to_thread(search.in_folders, *_places(system))

    with capsys.disabled():
        megabytes = size(*_places(system)) / MEBIBYTE
        print(f"\n{megabytes:.0f} MiB and {len(walked.refusals)} errors searched")  # noqa: T201
    assert sorted(hits) == []
    assert len(walked.refusals) > 20
    assert {"accept", "claim", "attempt", "provider_call"} <= {span.name for span in spans.spans}


async def test_a_control_that_is_written_down_is_found_in_every_place(walked: Paths) -> None:
    system = walked.system
    stack = system.stack
    search = Search({"control": CONTROL})

    for place in (
        stack.postgresql.data / "base",
        stack.postgresql.data / "pg_wal",
        stack.rabbitmq.folder,
        stack.redis.folder,
        stack.site.logs,
    ):
        assert await asyncio.to_thread(search.in_folders, place), place
