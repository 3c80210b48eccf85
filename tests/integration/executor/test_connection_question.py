"""`POST /internal/provider-connections/test`: asked by accounts, tried over real sockets."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from deploy.local.ports import free_ports
from libs.common.clock import SystemClock
from libs.common.contracts.accounts import SealedConnection, provider_key_context
from libs.common.contracts.executor import (
    AUDIENCE,
    TestConnectionAnswer,
    TestConnectionQuestion,
)
from libs.common.crypto import SealingKey, SealingKeyring
from libs.common.ids import new_id
from libs.common.tokens import ServiceTokens, TokenVerifier
from libs.common.web.app import create
from services.accounts.adapters.executors import HttpExecutors
from services.accounts.domain.errors import ExecutionPlaneAway
from services.executor.adapters.accounts import Seals
from services.executor.adapters.provider import ProviderOptions
from services.executor.adapters.seals import OpenedSeals
from services.executor.api import internal
from services.executor.use_cases import connection_tests
from services.executor.use_cases.connection_tests import ConnectionTests
from tests.support.certificates import self_signed, server_context
from tests.support.provider_calls import KEY, LOOPBACK, provider_with
from tests.support.raw_server import always, once, raw_server, reply, silence
from tests.support.service_keys import ServiceKey

ACCOUNTS, GATEWAY = ServiceKey("accounts"), ServiceKey("gateway")
SEALING = SealingKey.generate()
LIST = reply("200 OK", b'{"object":"list","data":[{"id":"a"},{"id":"b"},{"id":"c"}]}')


class NoModels:
    """Nobody asks for models here."""

    async def find(self, project_id: str, mode: str) -> bytes:
        raise NotImplementedError


def question(
    base_url: str, key: str = KEY, sealing: SealingKey = SEALING
) -> TestConnectionQuestion:
    connection_id = new_id("con")
    sealed = sealing.public.seal(key.encode(), provider_key_context(connection_id, "prj_a"))
    return TestConnectionQuestion(
        project_id="prj_a",
        connection=SealedConnection(
            connection_id=connection_id, base_url=base_url, sealed_key=sealed
        ),
    )


@asynccontextmanager
async def executors(
    options: ProviderOptions = LOOPBACK,
    lookup: Callable[[str], list[str]] | None = None,
    key: ServiceKey = ACCOUNTS,
) -> AsyncIterator[HttpExecutors]:
    """An executor's door, and accounts' own adapter before it."""
    verifier = TokenVerifier(
        {one.key_id: one.public for one in (ACCOUNTS, GATEWAY)}, AUDIENCE, SystemClock()
    )
    opened = OpenedSeals(SealingKeyring([SEALING]))
    async with provider_with(options, lookup) as provider:
        tests = ConnectionTests(Seals(opened, opened), provider)
        app = create([internal.routes(cast("Any", NoModels()), tests, verifier)])
        transport = httpx2.ASGITransport(cast("Any", app))
        async with httpx2.AsyncClient(transport=transport, base_url="http://executor") as web:
            tokens = ServiceTokens(key.issuer, key.key_id, key.private.reveal(), SystemClock())
            yield HttpExecutors(web, tokens)


async def ask(base_url: str, **how: Any) -> TestConnectionAnswer:
    async with executors(**how) as asker:
        return await asker.test(question(base_url))


async def test_a_good_connection_tells_how_many_models_there_are() -> None:
    async with raw_server(always(LIST)) as server:
        answer = await ask(server.url)

    assert (answer.is_good, answer.code, answer.models) == (True, "good", 3)
    assert 0 <= answer.took < 10
    [(head, body)] = server.requests
    assert head.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert f"Authorization: Bearer {KEY}\r\n".encode() in head
    assert body == b""


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply("401 Unauthorized", b'{"error":{"code":"invalid_api_key"}}'), "wrong_key"),
        (reply("403 Forbidden", b""), "wrong_key"),
        (reply("404 Not Found", b"<h1>not here</h1>"), "not_compatible"),
        (reply("405 Method Not Allowed", b""), "not_compatible"),
        (reply("200 OK", b"<h1>welcome</h1>"), "not_compatible"),
        (reply("200 OK", b'{"models":[]}'), "not_compatible"),
        (reply("301 Moved", b"", "Location: https://elsewhere.test/v1"), "not_compatible"),
        (reply("429 Too Many Requests", b""), "rate_limited"),
        (
            reply("429 Too Many Requests", b'{"error":{"code":"insufficient_quota"}}'),
            "quota_exhausted",
        ),
        (reply("500 Internal Server Error", b"secret trace"), "provider_failed"),
        (reply("503 Service Unavailable", b""), "provider_failed"),
        (reply("200 OK", b"[" + b" " * (1024 * 1024) + b"]"), "answer_too_large"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "connection_cut"),
        (b"", "connection_cut"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_answer_has_its_word(answer: bytes, code: str) -> None:
    async with raw_server(once(answer)) as server:
        found = await ask(server.url)

    assert (found.is_good, found.code, found.models) == (False, code, None)
    assert server.connections == 1  # neither a second try nor a redirect followed


async def test_a_server_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_tests, "TIMEOUT", timedelta(seconds=0.2))
    async with raw_server(silence) as server:
        assert (await ask(server.url)).code == "timed_out"


async def test_nobody_at_the_address() -> None:
    assert (await ask(f"http://127.0.0.1:{free_ports()}/v1")).code == "connection_refused"


@pytest.mark.parametrize(
    "base_url",
    ["https://127.0.0.1/v1", "https://[::1]/v1", "https://169.254.169.254/latest"],
)
async def test_an_address_inside_is_refused_and_never_called(base_url: str) -> None:
    async with raw_server(always(LIST)) as server:
        answer = await ask(
            base_url.replace("127.0.0.1", f"127.0.0.1:{server.port}"), options=ProviderOptions()
        )

    assert answer.code == "refused_address"
    assert server.connections == 0


async def test_a_name_that_leads_inside_is_refused_too() -> None:
    answer = await ask("https://inside.example/v1", lookup=lambda _: ["10.0.0.1"])

    assert answer.code == "refused_address"


async def test_a_name_that_leads_nowhere() -> None:
    def fail(_: str) -> list[str]:
        raise socket.gaierror

    assert (await ask("https://nowhere.example/v1", lookup=fail)).code == "name_not_found"


async def test_a_certificate_that_proves_nothing(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "localhost")
    async with raw_server(always(LIST), server_context(certificate)) as server:
        answer = await ask(f"https://127.0.0.1:{server.port}/v1")

    assert answer.code == "tls_failed"
    assert server.requests == []


@pytest.mark.parametrize("base_url", ["http://example.com/v1", "https://a@example.com/v1"])
async def test_what_is_no_base_url(base_url: str) -> None:
    assert (await ask(base_url)).code == "bad_address"


async def test_a_key_sealed_for_another_project_or_to_another_executor_does_not_open() -> None:
    asked = question("https://127.0.0.1/v1", sealing=SealingKey.generate())
    moved = TestConnectionQuestion(
        project_id="prj_b", connection=question("https://127.0.0.1/v1").connection
    )
    async with executors() as asker:
        assert (await asker.test(asked)).code == "key_unreadable"
        assert (await asker.test(moved)).code == "key_unreadable"


async def test_neither_the_key_nor_what_the_provider_said_comes_back() -> None:
    said = b'{"error":{"message":"your key sk-canary-key is wrong, says-the-provider"}}'
    async with raw_server(once(reply("401 Unauthorized", said, "X-Canary: says-the-provider"))) as (
        server
    ):
        answer = repr(await ask(server.url))

    assert KEY not in answer
    assert "says-the-provider" not in answer
    assert str(server.port) not in answer


async def test_only_accounts_may_ask() -> None:
    async with raw_server(always(LIST)) as server, executors(key=GATEWAY) as asker:
        with pytest.raises(ExecutionPlaneAway):
            await asker.test(question(server.url))

    assert server.requests == []


async def test_an_executor_that_is_away_is_a_typed_refusal() -> None:
    tokens = ServiceTokens(
        ACCOUNTS.issuer, ACCOUNTS.key_id, ACCOUNTS.private.reveal(), SystemClock()
    )
    address = f"http://127.0.0.1:{free_ports()}"
    async with httpx2.AsyncClient(base_url=address, trust_env=False) as web:
        with pytest.raises(ExecutionPlaneAway) as refused:
            await HttpExecutors(web, tokens).test(question("https://example.com/v1"))

    assert refused.value.retry_after is not None
