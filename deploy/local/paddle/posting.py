"""Sends webhooks, signed at that moment; again and again where they are not taken."""

import asyncio
import hashlib
import hmac
import time
from typing import Final

import httpx2

from deploy.local.paddle.store import Delivery, Store
from libs.common import logs, runtime
from libs.common.settings import Secret

log = logs.get(__name__)

WEBHOOK_REFUSED: Final = "webhook_refused"

LOOK_SECONDS: Final = 0.1
TIMEOUT_SECONDS: Final = 5.0
TRIES: Final = 60
LONGEST_WAIT: Final = 60.0


class Poster:
    """One after the other, so that they arrive in order unless one must be repeated."""

    def __init__(self, store: Store, client: httpx2.AsyncClient, url: str, secret: Secret) -> None:
        """`url`: where billing takes them. `secret`: signs them."""
        self._store, self._client = store, client
        self._url, self._secret = url, secret

    async def run(self, stop: asyncio.Event) -> None:
        """A loop."""
        while not stop.is_set():
            for delivery in self._store.due():
                if stop.is_set():
                    return
                await self._post(delivery)
            await runtime.sleep(stop, LOOK_SECONDS)

    async def _post(self, delivery: Delivery) -> None:
        if await self._is_taken(delivery):
            self._store.settle(delivery.number, state="sent")
        elif delivery.tries + 1 >= TRIES:
            self._store.settle(delivery.number, state="given_up")
        else:
            wait = min(0.5 * 2**delivery.tries, LONGEST_WAIT)
            self._store.settle(delivery.number, state="due", wait=wait)

    async def _is_taken(self, delivery: Delivery) -> bool:
        body = delivery.body.encode()
        headers = {"content-type": "application/json", "paddle-signature": self._sign(body)}
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await self._client.post(self._url, content=body, headers=headers)
        except (httpx2.HTTPError, TimeoutError):
            return False
        if not answer.is_success:
            log.warning(WEBHOOK_REFUSED, status_code=answer.status_code)
        return answer.is_success

    def _sign(self, body: bytes) -> str:
        return sign(body, self._secret, int(time.time()))


def sign(body: bytes, secret: Secret, at: int) -> str:
    """The header, as developer.paddle.com/webhooks/signature-verification says."""
    text = f"{at}:".encode() + body
    digest = hmac.new(secret.reveal().encode(), text, hashlib.sha256).hexdigest()
    return f"ts={at};h1={digest}"
