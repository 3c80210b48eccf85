"""Our reading of HTTP/1.1 beside httpx2's, on the same servers; each difference has its name.

httpx2 (over h11) is what calls ran on before decision 0030, and what many other programs run on.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import httpx2
import pytest
import uvloop

from services.executor.domain.calls import Answer
from tests.support.provider_calls import call, provider_with
from tests.support.raw_server import RawServer, always, once, raw_server, reply

Handler = Callable[..., Awaitable[None]]

OK: Final = reply("200 OK", b'{"a":1}')
LINE: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = LINE + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS: Final = b'3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'
CALLS: Final = 3


class Seen(NamedTuple):
    """What came of three calls: status and body of each, or None; over how many connections."""

    answers: list[tuple[int, bytes] | None]
    connections: int


def read(status: int, body: bytes, connections: int) -> Seen:
    return Seen([(status, body)] * CALLS, connections)


def refused() -> Seen:
    return Seen([None] * CALLS, CALLS)


ALIKE: Final[dict[str, Handler]] = {
    "a length": always(OK),
    "no body": always(reply("200 OK", b"")),
    "an error": always(reply("429 Slow down", b"{}", "Retry-After: 1")),
    "an unknown status": always(reply("799 What", b"{}")),
    "no reason": always(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}"),
    "chunks": always(CHUNKED + CHUNKS),
    "chunks in other words": always(CHUNKED.replace(b"chunked", b"Chunked") + CHUNKS),
    "chunks with extensions": always(CHUNKED + b'7;a=b;c="d"\r\n{"a":1}\r\n0;e\r\n\r\n'),
    "chunks with trailers": always(CHUNKED + CHUNKS[:-2] + b"X: y\r\n\r\n"),
    "chunks with blanks": always(CHUNKED + b'7  \r\n{"a":1}\r\n0 \r\n\r\n'),
    "compressed": always(
        reply("200 OK", gzip.compress(b"{}", mtime=0), "Content-Encoding: gzip")
    ),
    "until the end": once(LINE + b'\r\n{"a":1}'),
    "until the end, in pieces": once(LINE, b"\r\n", b'{"a"', b":1}"),
    "no content": always(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified, with a length": always(b"HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n"),
    "interim answers": always(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", OK
    ),
    "the last": always(reply("200 OK", b"{}", "Connection: close")),
    "the last, among others": always(reply("200 OK", b"{}", "Connection: x, Close")),
    "old": once(OK.replace(b"1.1", b"1.0")),
    "old, kept": always(
        reply("200 OK", b"{}", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    ),
    "old, until the end": once(b"HTTP/1.0 200 OK\r\n\r\n{}"),
    "a long head": always(reply("200 OK", b"{}", *[f"X-{n}: {'x' * 990}" for n in range(50)])),
    "an endless head": once(LINE + b"A: " + b"x" * 900_000),
    "nothing": once(),
    "half a line": once(b"HTTP/1.1 2"),
    "half a head": once(LINE + b"Conte"),
    "half a body": once(OK[:-1]),
    "half the chunks": once(CHUNKED + CHUNKS[:-5]),
    "chunks without their end": once(CHUNKED + CHUNKS[:-2]),
    "not HTTP": once(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "RTSP": once(OK.replace(b"HTTP", b"RTSP")),
    "a line first": once(b"\r\n" + OK),
    "two lengths": once(reply("200 OK", b"{}", "Content-Length: 3")),
    "an absurd length": once(OK.replace(b" 7", b" x")),
    "a negative length": once(OK.replace(b" 7", b" -7")),
    "a signed length": once(OK.replace(b" 7", b" +7")),
    "an unknown coding": once(CHUNKED.replace(b"chunked", b"gzip") + CHUNKS),
    "a coding before the chunks": once(CHUNKED.replace(b"chunked", b"gzip, chunked") + CHUNKS),
    "chunks said twice": once(CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS),
    "a chunk without a size": once(CHUNKED + b"\r\n{}\r\n0\r\n\r\n"),
    "a chunk with a prefix": once(CHUNKED + b"0x7\r\n{}\r\n0\r\n\r\n"),
    "a chunk longer than it says": once(CHUNKED + b"1\r\n{}\r\n0\r\n\r\n"),
    "a blank before a colon": once(OK.replace(b"Length:", b"Length :")),
    "a header without a colon": once(reply("200 OK", b"{}", "abc")),
    "a NUL": once(reply("200 OK", b"{}", "A: \x00")),
}  # fmt: skip


class Difference(NamedTuple):
    """`why` we want it."""

    why: str
    handler: Handler
    ours: Seen
    theirs: Seen


MINE: Final = b'{"a":1}'
STRAY: Final = reply("200 OK", b'{"somebody":"else"}')

DIFFERENT: Final = {
    "a second answer behind the first": Difference(
        "theirs gives it to whoever asks next: another customer",
        always(OK + STRAY),
        read(200, MINE, CALLS),
        Seen([(200, MINE), (200, b'{"somebody":"else"}'), (200, MINE)], 1),
    ),
    "a body behind an answer that has none": Difference(
        "the next call on that connection would meet it",
        always(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}"),
        read(204, b"", CALLS),
        Seen([(204, b""), None, (204, b"")], 2),
    ),
    "an empty line behind an answer": Difference(
        "it cannot be taken for an answer, and fails nobody's call",
        always(OK + b"\r\n"),
        read(200, MINE, 1),
        Seen([(200, MINE), None, (200, MINE)], 2),
    ),
    "a length and chunks": Difference(
        "two ends, and who stands between may believe in the other (RFC 9112, 6.3)",
        once(LINE + b"Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS),
        refused(),
        read(200, MINE, CALLS),
    ),
    "chunks and a length": Difference(
        "as above",
        once(CHUNKED[:-2] + b"Content-Length: 7\r\n\r\n" + CHUNKS),
        refused(),
        read(200, MINE, CALLS),
    ),
    "a length among the trailers": Difference(
        "as above",
        always(CHUNKED + CHUNKS[:-2] + b"Content-Length: 3\r\n\r\n"),
        refused(),
        read(200, MINE, 1),
    ),
    "one length twice": Difference(
        "may be refused (RFC 9112, 6.3), and llhttp does",
        always(reply("200 OK", b"{}", "Content-Length: 2")),
        refused(),
        read(200, b"{}", 1),
    ),
    "one length twice in a line": Difference(
        "as above",
        always(OK.replace(b" 7", b" 7, 7")),
        refused(),
        read(200, MINE, 1),
    ),
    "an interim answer with a length": Difference(
        "it has no body (RFC 9110, 15.2): who believes the length sees another answer",
        once(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\n" + OK),
        refused(),
        read(200, MINE, CALLS),
    ),
    "a folded header": Difference(
        "obsolete (RFC 9112, 5.2), and another way to hide one header in another",
        always(reply("200 OK", b"{}", "A: b", " c")),
        refused(),
        read(200, b"{}", 1),
    ),
    "lone line feeds": Difference(
        "need not be read (RFC 9112, 2.2), and others see other lines",
        always(OK.replace(b"\r\n", b"\n")),
        refused(),
        read(200, MINE, 1),
    ),
    "a control character": Difference(
        "not allowed in a header (RFC 9110, 5.5)",
        once(reply("200 OK", b"{}", "A: \x01")),
        refused(),
        read(200, b"{}", CALLS),
    ),
    "another version": Difference(
        "we speak 1.1 and read 1.0",
        once(OK.replace(b"1.1", b"2.0")),
        refused(),
        read(200, MINE, CALLS),
    ),
    "interim answers without end": Difference(
        "so much may come without a body, and no more",
        once(b"HTTP/1.1 100 Continue\r\n\r\n" * 60_000 + OK),
        refused(),
        read(200, MINE, CALLS),
    ),
    "a long error": Difference(
        "its beginning is for people; the rest is left unread with the connection",
        always(reply("500 Oops", b"x" * 100_000)),
        read(500, b"x" * 65_536, CALLS),
        read(500, b"x" * 100_000, 1),
    ),
    "a broken encoding": Difference(
        "the provider has answered, and was paid for it: its answer is judged as no JSON",
        once(reply("200 OK", b"{}", "Content-Encoding: gzip")),
        read(200, b"", CALLS),
        refused(),
    ),
}


async def ours(server: RawServer) -> Seen:
    answers: list[tuple[int, bytes] | None] = []
    async with provider_with() as provider:
        for _ in range(CALLS):
            answer = await call(provider, server.url)
            found = (answer.status_code, answer.body) if isinstance(answer, Answer) else None
            answers.append(found)
    return Seen(answers, server.connections)


async def theirs(server: RawServer) -> Seen:
    answers: list[tuple[int, bytes] | None] = []
    async with httpx2.AsyncClient(trust_env=False) as client:
        for _ in range(CALLS):
            try:
                answer = await client.post(server.url, content=b"{}")
                answers.append((answer.status_code, answer.content))
            except httpx2.HTTPError:
                answers.append(None)
    return Seen(answers, server.connections)


async def seen(handler: Handler) -> tuple[Seen, Seen]:
    async with raw_server(handler) as one, raw_server(handler) as other:
        return await ours(one), await theirs(other)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("name", ALIKE)
async def test_an_answer_reads_as_it_reads_to_others(
    name: str, run: Callable[..., tuple[Seen, Seen]]
) -> None:
    mine, reference = await asyncio.to_thread(run, seen(ALIKE[name]))

    assert mine == reference


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("name", DIFFERENT)
async def test_an_answer_reads_otherwise_where_we_want_it_so(
    name: str, run: Callable[..., tuple[Seen, Seen]]
) -> None:
    difference = DIFFERENT[name]
    mine, reference = await asyncio.to_thread(run, seen(difference.handler))

    assert (mine, reference) == (difference.ours, difference.theirs), difference.why
