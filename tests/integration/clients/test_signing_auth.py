"""`SigningAuth` inside other people's clients: httpx, httpx2, and the stock openai package."""

from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import openai
import pytest

from reqrun import SigningAuth, UnsignableBody
from tests.support.signing_server import API_KEY, SECRET, Scripted, SigningServer, refused

CHAT = "/v1/chat/completions"
BEARER = {"Authorization": f"Bearer {API_KEY}"}
HELLO: dict[str, Any] = {
    "model": "sim-ok",
    "messages": [{"role": "user", "content": "grüß dich 🌍"}],
}
SOON = Scripted(503, refused("unavailable"), {"retry-after": "0", "x-should-retry": "true"})
CUT = Scripted(is_cut=True)

Blocking = Callable[[], httpx.Client | httpx2.Client]
Awaiting = Callable[[], httpx.AsyncClient | httpx2.AsyncClient]


def auth() -> SigningAuth:
    return SigningAuth(SECRET)


BLOCKING: list[Blocking] = [lambda: httpx.Client(auth=auth()), lambda: httpx2.Client(auth=auth())]
AWAITING: list[Awaiting] = [
    lambda: httpx.AsyncClient(auth=auth()),
    lambda: httpx2.AsyncClient(auth=auth()),
]
names = pytest.mark.parametrize


@names("make", BLOCKING, ids=["httpx", "httpx2"])
def test_a_blocking_client_signs_posts_and_gets(make: Blocking, server: SigningServer) -> None:
    with make() as client:
        answers = [
            client.post(server.url + CHAT, json=HELLO, headers=BEARER),
            client.post(server.url + CHAT, content="{}", headers=BEARER),
            client.get(f"{server.url}/v1/requests/rr_1?wait=5", headers=BEARER),
            client.delete(f"{server.url}/v1/requests/rr_1", headers=BEARER),
        ]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({seen.nonce for seen in server.seen}) == 4


@names("make", AWAITING, ids=["httpx", "httpx2"])
async def test_an_awaiting_client_signs_posts_and_gets(
    make: Awaiting, server: SigningServer
) -> None:
    async with make() as client:
        answers = [
            await client.post(server.url + CHAT, json=HELLO, headers=BEARER),
            await client.get(f"{server.url}/v1/requests/rr_1?wait=5", headers=BEARER),
        ]

    assert [answer.status_code for answer in answers] == [200, 200]


def test_a_wrong_secret_is_found_out(server: SigningServer) -> None:
    with httpx2.Client(auth=SigningAuth(f"{SECRET}!"), headers=BEARER) as client:
        answer = client.post(server.url + CHAT, json=HELLO)

    assert answer.json()["error"]["code"] == "invalid_signature"


def test_the_server_of_these_tests_refuses_a_nonce_that_was_used(server: SigningServer) -> None:
    once = SigningAuth(SECRET, nonce=lambda: "0" * 32)
    with httpx2.Client(auth=once, headers=BEARER) as client:
        answers = [client.get(f"{server.url}/v1/models") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[1].json()["error"]["code"] == "nonce_reused"


async def test_a_streamed_body_is_refused_before_anything_is_sent(server: SigningServer) -> None:
    async with httpx2.AsyncClient(auth=auth(), headers=BEARER) as client:
        with pytest.raises(UnsignableBody, match="streamed body"):
            await client.post(server.url + CHAT, files={"file": b"text"})

    assert server.seen == []


def hello() -> Any:
    return {**HELLO, "extra_body": {"wait": True, "idempotency_key": "one-and-the-same"}}


@names("make", BLOCKING, ids=["httpx", "httpx2"])
@names("fault", [SOON, CUT], ids=["refused", "cut"])
def test_the_stock_openai_package_signs_every_retry_anew(
    make: Blocking, fault: Scripted, server: SigningServer
) -> None:
    server.script(fault)
    with openai.OpenAI(
        base_url=f"{server.url}/v1",
        api_key=API_KEY,
        http_client=make(),  # type: ignore[arg-type]  # httpx's clients are taken too
    ) as client:
        completion = client.chat.completions.create(**hello())

    assert completion.choices[0].message.content == "Hello!"
    assert_joined(server)


@names("make", AWAITING, ids=["httpx", "httpx2"])
@names("fault", [SOON, CUT], ids=["refused", "cut"])
async def test_the_stock_async_openai_package_signs_every_retry_anew(
    make: Awaiting, fault: Scripted, server: SigningServer
) -> None:
    server.script(fault)
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1",
        api_key=API_KEY,
        http_client=make(),  # type: ignore[arg-type]  # httpx's clients are taken too
    ) as client:
        completion = await client.chat.completions.create(**hello())

    assert completion.choices[0].message.content == "Hello!"
    assert_joined(server)


def assert_joined(server: SigningServer) -> None:
    """Two tries, both well signed, each with a nonce of its own, and one key."""
    assert [seen.fault for seen in server.seen] == ["", ""]
    assert server.seen[0].nonce != server.seen[1].nonce
    assert {seen.json()["idempotency_key"] for seen in server.seen} == {"one-and-the-same"}
