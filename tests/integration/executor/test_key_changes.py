"""What an executor does while a provider's key changes between two attempts."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis as RedisServer
from services.executor.adapters import accounts
from services.executor.simulator import replies
from tests.support import queues
from tests.support.ledgers import Bench, bench
from tests.support.raw_server import RawServer, raw_server
from tests.support.waiting import until
from tests.support.workers import Worker, worker

OLD, NEW = "sk-old", "sk-new"
RETRY = "UPDATE live SET not_before = clock_timestamp() WHERE slot_at IS NULL"


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Bench]:
    async with bench(ledger_url) as hands:
        yield hands


@pytest.fixture
async def provider() -> AsyncIterator[RawServer]:
    """Answers who has the new key; the old one is overloaded."""

    async def serve(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while await server.read_request(reader):
            is_new = key_of(server.requests[-1]) == NEW
            reply = replies.completion("m", 1, 1) if is_new else replies.failure(500)
            head = f"HTTP/1.1 {reply.status_code} X\r\ncontent-length: {len(reply.body)}\r\n\r\n"
            writer.write(head.encode() + reply.body)
            await writer.drain()

    async with raw_server(serve) as server:
        yield server


@pytest.fixture
async def running(
    ledger: Bench,
    provider: RawServer,
    rabbitmq_server: RabbitMq,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Worker]:
    """It asks accounts before every attempt, so that no memory has to grow old first."""
    for name in ("ASK_AGAIN_SECONDS", "FRESH_SECONDS"):
        monkeypatch.setattr(accounts, name, 0.0)
    await queues.reset(rabbitmq_server.url)
    url = provider.url.removesuffix("/v1")
    async with worker(ledger, rabbitmq_server.url, redis_server.url, url) as hands:
        hands.accounts.connect("prj_a", provider.url, OLD)
        yield hands


def key_of(request: tuple[bytes, bytes]) -> str:
    head, _ = request
    [line] = [line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization")]
    return line.rpartition(b" ")[2].decode()


async def try_again_until_final(ledger: Bench, running: Worker, request_id: str) -> None:
    async def is_final() -> bool:
        await ledger.sql.execute(RETRY)
        await running.hint(*[hint.request_id for hint in await ledger.dispatcher.release()])
        return await ledger.result(request_id) is not None

    await until(is_final)


@pytest.mark.fault(62)
async def test_the_next_attempt_is_made_with_the_new_key(
    ledger: Bench, running: Worker, provider: RawServer
) -> None:
    kept = await running.accept("m", mode="live")
    await running.hint(kept.id)
    await until(lambda: len(provider.requests) == 1)

    running.accounts.connect("prj_a", provider.url, NEW)
    await try_again_until_final(ledger, running, kept.id)

    result = await ledger.result(kept.id)
    assert result is not None
    assert result["state"] == "completed"
    assert [key_of(request) for request in provider.requests] == [OLD, NEW]


@pytest.mark.fault(62)
async def test_without_a_key_the_request_fails_and_says_so(
    ledger: Bench, running: Worker, provider: RawServer
) -> None:
    kept = await running.accept("m", mode="live")
    await running.hint(kept.id)
    await until(lambda: len(provider.requests) == 1)

    del running.accounts.connections["prj_a"]
    await try_again_until_final(ledger, running, kept.id)

    result = await ledger.result(kept.id)
    assert result is not None
    assert (result["state"], result["last_error_code"]) == ("failed", "no_provider_connection")
    assert len(provider.requests) == 1
