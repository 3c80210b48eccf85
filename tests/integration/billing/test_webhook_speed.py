"""How long Paddle waits for its answer, 200 times a second, while nobody processes anything."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from deploy.local.ports import free_ports
from libs.common.settings import Secret
from services.billing.ports import Ports
from services.billing.use_cases.webhooks import Door
from tests.support import service_process
from tests.support.paddle_events import SECRET, at, event, signature, subscription
from tests.support.paddle_inbox import rows
from tests.support.waiting import until

RATE = 200
SECONDS = 10
BEHIND = 5_000
BOUND_SECONDS = 0.1


def body(number: int) -> bytes:
    return event("subscription.updated", subscription(number), at(), f"evt_{number:09d}")


class Sender:
    """Sends at fixed moments, whatever the answers do: a late one makes no other look good."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client, self.waits = client, list[float]()

    async def run(self) -> None:
        began = asyncio.get_running_loop().time() + 0.5
        moments = [began + number / RATE for number in range(RATE * SECONDS)]
        await asyncio.gather(*(self._send(n, moment) for n, moment in enumerate(moments)))

    async def _send(self, number: int, moment: float) -> None:
        loop = asyncio.get_running_loop()
        content = body(number)
        await asyncio.sleep(moment - loop.time())
        header = {"Paddle-Signature": signature(content, datetime.now(UTC))}
        answer = await self._client.post("/webhooks/paddle", content=content, headers=header)
        assert answer.status_code == httpx2.codes.OK, answer.text
        self.waits.append(loop.time() - moment)


async def fall_behind(ports: Ports) -> None:
    """Nobody has processed anything for a while."""
    door = Door(ports, [SECRET])
    now = ports.clock.now()
    for first in range(0, BEHIND, 25):
        bodies = [body(1_000_000 + first + number) for number in range(25)]
        await asyncio.gather(*(door.take(signature(one, now), one) for one in bodies))


@pytest.mark.slow
@pytest.mark.alone
async def test_the_answer_comes_in_a_tenth_of_a_second_whoever_is_behind(
    ports: Ports, database_url: Secret, tmp_path: Path
) -> None:
    await fall_behind(ports)
    port = str(free_ports())
    variables = {
        "DATABASE_URL": database_url.reveal(),
        "BROKER_URL": "amqp://nobody:nothing@127.0.0.1:1/",
        "PADDLE_WEBHOOK_SECRETS": SECRET.reveal(),
        "PORT": port,
    }
    with service_process.running("billing", "web", variables, tmp_path) as web:
        await until(web.is_ready)
        limits = httpx2.Limits(max_connections=50, max_keepalive_connections=50)
        url = f"http://127.0.0.1:{port}"
        async with httpx2.AsyncClient(base_url=url, limits=limits, trust_env=False) as client:
            sender = Sender(client)
            began = time.monotonic()
            await sender.run()

    waits = sorted(sender.waits)
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    print(f"{len(waits)} in {time.monotonic() - began:.1f} s: p50 {p50:.4f} p99 {p99:.4f} s")  # noqa: T201
    assert len(await rows(ports, "webhooks")) == BEHIND + RATE * SECONDS
    assert p99 <= BOUND_SECONDS
