"""`ReqRun` and `AsyncReqRun` over a real socket: signed, repeated, typed."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from reqrun import AsyncReqRun, NoAnswer, ReqRun, ReqRunError, Retries
from reqrun.shapes import ChatParams
from tests.support.signing_server import (
    API_KEY,
    SECRET,
    Scripted,
    SigningServer,
    refused,
    standing,
)

PACKAGE = Path(__file__).parents[3] / "clients" / "python"
HELLO: ChatParams = {"model": "sim-ok", "messages": [{"role": "user", "content": "grüß dich 🌍"}]}
ACCEPTED = {"id": "rr_1", "object": "chat.completion.async", "status": "queued", "created": 1}
CUT = Scripted(is_cut=True)
BUSY = Scripted(503, refused("unavailable"), {"retry-after": "0"})
AT_ONCE = Retries(base=0.0)


@pytest.fixture
def client(server: SigningServer) -> Iterator[ReqRun]:
    with ReqRun(API_KEY, SECRET, f"{server.url}/", retries=AT_ONCE) as made:
        yield made


@pytest.fixture
async def awaiting(server: SigningServer) -> AsyncIterator[AsyncReqRun]:
    async with AsyncReqRun(API_KEY, SECRET, server.url, retries=AT_ONCE) as made:
        yield made


def test_a_completion_comes_as_the_provider_gave_it(client: ReqRun, server: SigningServer) -> None:
    answer = client.chat.completions.create(
        model=HELLO["model"], messages=HELLO["messages"], wait=True
    )

    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == "Hello!"
    assert server.seen[0].headers["content-type"] == "application/json"
    assert "grüß dich 🌍".encode() in server.seen[0].body


def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    client: ReqRun, server: SigningServer
) -> None:
    server.script(CUT, BUSY, Scripted(body=ACCEPTED))

    assert client.chat.completions.create(**HELLO) == ACCEPTED
    assert [seen.fault for seen in server.seen] == [""] * 3
    assert len({seen.body for seen in server.seen}) == 1
    assert len({seen.nonce for seen in server.seen}) == 3


async def test_the_awaiting_client_does_the_same(
    awaiting: AsyncReqRun, server: SigningServer
) -> None:
    server.script(CUT, BUSY, Scripted(body=ACCEPTED))

    assert await awaiting.chat.completions.create(**HELLO) == ACCEPTED
    assert [seen.fault for seen in server.seen] == [""] * 3
    assert len({seen.body for seen in server.seen}) == 1


def test_waiting_survives_what_passes(client: ReqRun, server: SigningServer) -> None:
    done = standing("completed", last_error_code=None)
    server.script(BUSY, CUT, Scripted(body=done))

    assert client.requests.wait("rr_1", timeout=30) == done


async def test_awaiting_survives_what_passes(awaiting: AsyncReqRun, server: SigningServer) -> None:
    done = standing("failed", last_error_code="provider_rejected")
    server.script(BUSY, CUT, Scripted(body=done))

    assert await awaiting.requests.wait("rr_1", timeout=30) == done


async def test_every_method_of_both_clients_is_signed_for_its_own_path(
    client: ReqRun, awaiting: AsyncReqRun, server: SigningServer
) -> None:
    client.requests.get("rr_1", wait=1.5)
    client.requests.list(limit=2, status="failed")
    client.requests.attempts("rr_1")
    client.requests.cancel("rr_1")
    client.requests.retry("rr_1")
    client.requests.erase("rr_1")
    client.models.list()
    blocking = list(server.seen)
    await awaiting.requests.get("rr_1", wait=1.5)
    await awaiting.requests.list(limit=2, status="failed")
    await awaiting.requests.attempts("rr_1")
    await awaiting.requests.cancel("rr_1")
    await awaiting.requests.retry("rr_1")
    await awaiting.requests.erase("rr_1")
    await awaiting.models.list()

    calls = [(seen.method, seen.target, seen.fault) for seen in server.seen]
    assert calls[:7] == [
        ("GET", "/v1/requests/rr_1?wait=1.500", ""),
        ("GET", "/v1/requests?limit=2&status=failed", ""),
        ("GET", "/v1/requests/rr_1/attempts", ""),
        ("POST", "/v1/requests/rr_1/cancel", ""),
        ("POST", "/v1/requests/rr_1/retry", ""),
        ("DELETE", "/v1/requests/rr_1", ""),
        ("GET", "/v1/models", ""),
    ]
    assert calls[7:] == calls[:7]
    assert [seen.body for seen in blocking if seen.body] == [b'{"wait":false}']
    assert all(("content-type" in seen.headers) == bool(seen.body) for seen in server.seen)


def test_a_refusal_is_typed(client: ReqRun, server: SigningServer) -> None:
    headers = {"X-Request-Id": "req_1", "X-ReqRun-Request-Id": "rr_1"}
    server.script(Scripted(409, refused("idempotency_conflict", "conflict_error"), headers))

    with pytest.raises(ReqRunError) as raised:
        client.chat.completions.create(**HELLO)

    error = raised.value
    assert (error.status, error.code, error.type) == (409, "idempotency_conflict", "conflict_error")
    assert (error.call_id, error.request_id) == ("req_1", "rr_1")


def test_a_redirect_is_not_followed_with_the_key_in_hand(
    client: ReqRun, server: SigningServer
) -> None:
    server.script(Scripted(307, None, {"location": f"{server.url}/elsewhere"}))

    with pytest.raises(ReqRunError):
        client.models.list()
    assert len(server.seen) == 1


def test_nobody_there_is_no_answer_and_shows_no_key() -> None:
    with (
        ReqRun(API_KEY, SECRET, "http://127.0.0.1:9", retries=Retries(count=1, base=0.0)) as client,
        pytest.raises(NoAnswer) as raised,
    ):
        client.models.list()

    assert raised.value.status is None
    assert isinstance(raised.value.__cause__, httpx2.ConnectError)
    assert API_KEY not in f"{raised.value!r} {raised.value} {raised.value.__cause__}"


def test_a_client_of_the_callers_is_left_open(server: SigningServer) -> None:
    with httpx2.Client() as own:
        with ReqRun(API_KEY, SECRET, server.url, http_client=own) as client:
            client.models.list()
        assert not own.is_closed


def test_signing_needs_no_http_client_and_the_client_says_what_it_needs() -> None:
    script = """
import sys
sys.modules["httpx2"] = None
import reqrun
reqrun.SigningAuth("secret").headers("GET", "/v1/models")
try:
    reqrun.ReqRun
except ModuleNotFoundError as missing:
    print(missing)
"""
    done = subprocess.run(  # noqa: S603  the command is ours
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(PACKAGE)!r})\n{script}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.strip() == "ReqRun needs httpx2: pip install 'reqrun[client]'"
