"""HTTP as bytes, for what no client library would send."""

import asyncio
import json
from typing import Any, Self

import msgspec


class RawAnswer(msgspec.Struct, frozen=True):
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.json()["error"]["code"])

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class RawConnection:
    """One connection; close it, or use `async with`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "RawConnection":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def read(self) -> RawAnswer:
        """One whole answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return RawAnswer(int(head[0].split(" ")[1]), headers, body)

    async def is_closed(self) -> bool:
        """Wait for the end of the connection, orderly or not."""
        try:
            return await self._reader.read(1) == b""
        except ConnectionError:
            return True


def post(key: str, *headers: str, path: str = "/v1/chat/completions") -> bytes:
    """The head of a POST, without a length."""
    lines = [f"POST {path} HTTP/1.1", "Host: t", f"Authorization: Bearer {key}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()
