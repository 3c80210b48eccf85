"""A gateway in the test's own event loop, listening on real ports."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from services.gateway.app import open_gateway
from services.gateway.settings import Settings
from tests.support.raw_http import RawAnswer, RawConnection, post
from tests.support.waiting import until

UNAVAILABLE = 503
SUBMISSION = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Hello"}]}


class Gateway:
    """One running gateway. `client` speaks to its public port, `internal` to the other."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stop = asyncio.Event()
        self.tasks: list[asyncio.Future[None]] = []
        self.client = _client(f"http://127.0.0.1:{settings.port}")
        self.internal = _client(f"http://127.0.0.1:{settings.internal_port}")

    @classmethod
    @asynccontextmanager
    async def running(cls, settings: Settings) -> AsyncIterator["Gateway"]:
        """Runs while the block does."""
        async with cls.starting(settings) as gateway:
            await until(gateway.is_ready)
            yield gateway

    @classmethod
    @asynccontextmanager
    async def starting(cls, settings: Settings) -> AsyncIterator["Gateway"]:
        """As `running`, but the block begins before it is ready."""
        gateway = cls(settings)
        async with open_gateway(settings) as loops, gateway.client, gateway.internal:
            gateway.tasks = [asyncio.ensure_future(loop(gateway.stop)) for loop in loops]
            try:
                yield gateway
            finally:
                gateway.stop.set()
                await _ended(gateway.tasks)

    async def is_ready(self) -> bool:
        """What its readiness probe says."""
        try:
            return (await self.internal.get("/readyz")).is_success
        except httpx2.HTTPError:
            return False

    async def is_alive(self) -> bool:
        """What its liveness probe says."""
        try:
            return (await self.internal.get("/healthz")).is_success
        except httpx2.HTTPError:
            return False

    def has_ended(self) -> bool:
        """Whether one of its loops is over: in production the process ends with it."""
        return any(task.done() for task in self.tasks)

    async def submit(self, key: str, **fields: Any) -> httpx2.Response:
        """POST a chat completion."""
        return await self.client.post(
            "/v1/chat/completions", json={**SUBMISSION, **fields}, headers=bearer(key)
        )

    async def accept(self, key: str, **fields: Any) -> httpx2.Response:
        """POST a chat completion until it is taken, as a client does on a machine under load."""
        answers: list[httpx2.Response] = []

        async def is_taken() -> bool:
            answers.append(await self.submit(key, **fields))
            return answers[-1].status_code != UNAVAILABLE

        await until(is_taken)
        return answers[-1]

    async def flood(self, key: str, count: int) -> list[RawAnswer]:
        """Submit `count` at once, each over a connection of its own; cheaper than the client."""
        return list(await asyncio.gather(*(self._submit_raw(key) for _ in range(count))))

    async def _submit_raw(self, key: str) -> RawAnswer:
        body = json.dumps(SUBMISSION).encode()
        async with await RawConnection.open(self.settings.port) as raw:
            await raw.send(post(key, f"Content-Length: {len(body)}") + body)
            return await raw.read()

    async def learn(self, key: str) -> str:
        """Make the gateway know `key`, so that no slow question to accounts comes in between."""

        async def is_known() -> bool:
            answer = await self.get(key, "/v1/requests/rr_none")
            return answer.status_code != UNAVAILABLE

        await until(is_known)
        return key

    async def get(self, key: str, path: str) -> httpx2.Response:
        """GET a path."""
        return await self.client.get(path, headers=bearer(key))


def bearer(key: str) -> dict[str, str]:
    """The header that names the caller."""
    return {"authorization": f"Bearer {key}"}


def _client(url: str) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=None)
    return httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False, limits=limits)


async def _ended(loops: Sequence[asyncio.Future[None]]) -> None:
    """Until all are. Raises what the first failed one raised; the others end with it."""
    try:
        await asyncio.gather(*loops)
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops)
