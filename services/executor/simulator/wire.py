"""The simulator's side of HTTP: reading a body, waiting for an absent answer, sending, cutting."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from uuid import uuid4

from services.executor.simulator.replies import Reply

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES: Final = 16 * 1024 * 1024


class ClientLeft(Exception):
    """The client closed its connection: there is nobody to answer."""


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Lower-case names; of a repeated header, the last."""
    return dict(scope["headers"])


async def read(receive: Receive) -> bytes | None:
    """The whole body; None if it is too large (the rest is still read, so that an answer fits)."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        size += len(message.get("body", b""))
        if size <= MAX_BODY_BYTES:
            chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks) if size <= MAX_BODY_BYTES else None


async def pause(milliseconds: int, receive: Receive) -> None:
    """Wait, unless the time is not positive; raises ClientLeft as soon as the client is gone."""
    if milliseconds <= 0:
        return
    try:
        async with asyncio.timeout(milliseconds / 1000):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
    raise ClientLeft


async def send_reply(send: Send, reply: Reply) -> None:
    """Send `reply` with the headers that every answer of OpenAI's carries."""
    own = (
        (b"content-length", str(len(reply.body)).encode()),
        (b"x-request-id", f"req_{uuid4().hex}".encode()),
        (b"openai-processing-ms", b"1"),
        (b"openai-version", b"2020-10-01"),
    )
    headers = [*reply.headers, *own]
    start = {"type": "http.response.start", "status": reply.status_code, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": reply.body})


async def cut(send: Send) -> None:
    """Begin an answer and never end it: a server that is left so closes the connection."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"id":"chatcmpl-sim', "more_body": True})
