"""Which bytes are an answer, where it ends, and what may come behind it."""

import gc
import gzip
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.adapters.provider.answers import (
    MAX_BARREN_BYTES,
    MAX_ERROR_BYTES,
    AnswerReader,
)
from services.executor.domain.calls import Answer, CallFailure, FailureKind
from tests.support.raw_server import reply

PIECE = 256 * 1024
"""The most that a socket hands over at once."""

CUT = CallFailure(FailureKind.CUT, was_sent=True)
OK = reply("200 OK", b"{}")
LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"
TORN = gzip.compress(b"x" * 500, mtime=0)[:-8] + bytes(8)
"""Its checksum is wrong."""

TORN_ANSWER = reply("200 OK", TORN, "Content-Encoding: gzip")
GZIPPED = reply("200 OK", gzip.compress(b"x" * 500, mtime=0), "Content-Encoding: gzip")


def read(*pieces: bytes, limit: int = 1000) -> AnswerReader:
    reader = AnswerReader(limit)
    for piece in pieces:
        reader.feed(piece)
    return reader


WHOLE = {
    "with its length": (OK, b"{}", True),
    "empty": (reply("200 OK", b""), b"", True),
    "chunked": (CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"{}", True),
    "chunked in other words": (
        CHUNKED.replace(b"chunked", b" CHUNKED ") + b"2\r\n{}\r\n0\r\n\r\n",
        b"{}",
        True,
    ),
    "chunks with extensions": (
        CHUNKED + b'2;a=b;c="d\\"e"\r\n{}\r\n0;last\r\n\r\n',
        b"{}",
        True,
    ),
    "chunks with blanks": (CHUNKED + b"2  \r\n{}\r\n0 \r\n\r\n", b"{}", True),
    "chunks with trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nRetry-After: 1\r\n\r\n", b"{}", True),
    "trailers that close": (CHUNKED + b"0\r\nConnection: close\r\n\r\n", b"", False),
    "after interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        b"{}",
        True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", True),
    "the last": (reply("200 OK", b"{}", "Connection: Close"), b"{}", False),
    "the last, among others": (reply("200 OK", b"{}", "Connection: x, close"), b"{}", False),
    "the last, said twice": (
        reply("200 OK", b"{}", "Connection: keep-alive", "Connection: close"),
        b"{}",
        False,
    ),
    "old": (OK.replace(b"1.1", b"1.0"), b"{}", False),
    "old and kept": (
        reply("200 OK", b"{}", "Connection: keep-alive").replace(b"1.1", b"1.0"),
        b"{}",
        False,
    ),
    "an upgrade that is only offered": (
        reply("200 OK", b"{}", "Upgrade: h2c", "Connection: upgrade"),
        b"{}",
        True,
    ),
    "without a reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", b"{}", True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_is_whole_where_its_framing_says_so(name: str) -> None:
    data, body, can_be_followed = WHOLE[name]

    reader = read(data)

    assert isinstance(reader.answer, Answer)
    assert (reader.answer.body, reader.answer.headers) == (body, {})
    assert (reader.is_over, reader.can_be_followed) == (True, can_be_followed)


BROKEN = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a protocol that looks like it": OK.replace(b"HTTP", b"RTSP"),
    "Icecast": OK.replace(b"HTTP/1.1", b"ICE/1.0"),
    "another version": OK.replace(b"1.1", b"2.0"),
    "an older version": OK.replace(b"1.1", b"0.9"),
    "a request": b"POST / HTTP/1.1\r\nHost: h\r\n\r\n",
    "an empty line first": b"\r\n" + OK,
    "a status below all": reply("099 Low", b"{}"),
    "no status": reply("000 None", b"{}"),
    "a status of four digits": reply("2000 OK", b"{}"),
    "another protocol from now on": b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
    "another protocol, unnamed": b"HTTP/1.1 101 S\r\n\r\nx",
    "an interim answer with a length": b"HTTP/1.1 103 E\r\nContent-Length: 2\r\n\r\n{}" + OK,
    "an interim answer with chunks": (
        b"HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + OK
    ),
    "a length and chunks": CHUNKED[:-2] + b"Content-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and a length": (
        LINE + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    ),
    "two lengths": reply("200 OK", b"{}", "Content-Length: 3"),
    "one length twice": reply("200 OK", b"{}", "Content-Length: 2"),
    "a list of lengths": OK.replace(b" 2", b" 2, 2"),
    "a signed length": OK.replace(b" 2", b" +2"),
    "a hexadecimal length": OK.replace(b" 2", b" 0x2"),
    "an empty length": OK.replace(b" 2", b" "),
    "a length beyond all": OK.replace(b" 2", b" 18446744073709551618"),
    "a folded length": OK.replace(b" 2", b" 2\r\n 1"),
    "a folded header": reply("200 OK", b"{}", "A: b", " c"),
    "an unknown coding": CHUNKED.replace(b"chunked", b"gzip") + b"2\r\n{}\r\n0\r\n\r\n",
    "a coding before the chunks": CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n",
    "a coding behind the chunks": CHUNKED.replace(b"chunked", b"chunked, gzip") + b"0\r\n\r\n",
    "chunks twice": CHUNKED.replace(b"chunked", b"chunked, chunked") + b"0\r\n\r\n",
    "chunks said twice": CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "nearly chunks": CHUNKED.replace(b"chunked", b"xchunked") + b"0\r\n\r\n",
    "chunks with a parameter": CHUNKED.replace(b"chunked", b"chunked;q=1") + b"0\r\n\r\n",
    "a blank before a colon": OK.replace(b"Length:", b"Length :"),
    "a header without a colon": reply("200 OK", b"{}", "abc"),
    "a header without a name": reply("200 OK", b"{}", ": x"),
    "a NUL": reply("200 OK", b"{}", "A: b\x00c"),
    "a lone CR": reply("200 OK", b"{}", "A: b\rc"),
    "lone line feeds": OK.replace(b"\r\n", b"\n"),
    "a lone line feed": OK.replace(b"OK\r\n", b"OK\n"),
    "a chunk of no size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk of negative size": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a prefix": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk beyond all": CHUNKED + b"f" * 17 + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n",
    "a chunk with a lone line feed": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "an extension with a lone line feed": CHUNKED + b"2;a\n{}\r\n0\r\n\r\n",
    "a length among the trailers": CHUNKED + b"0\r\nContent-Length: 2\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_leaves_its_end_in_doubt_is_no_answer(name: str) -> None:
    reader = read(BROKEN[name])

    assert (reader.is_over, reader.can_be_followed, reader.answer) == (True, False, CUT)


@pytest.mark.parametrize("stray", [b"x", b"H", OK, b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\nH"])
@pytest.mark.parametrize("is_apart", [False, True])
def test_whatever_comes_behind_an_answer_spoils_the_connection(
    stray: bytes, *, is_apart: bool
) -> None:
    reader = read(OK, stray) if is_apart else read(OK + stray)

    assert reader.answer == Answer(200, {}, b"{}")
    assert not reader.can_be_followed


@pytest.mark.parametrize("status", [b"204 No", b"304 Not"])
@pytest.mark.parametrize("framing", [b"Content-Length: 2", b"Transfer-Encoding: chunked"])
def test_an_answer_that_has_no_body_spoils_the_connection_with_one(
    status: bytes, framing: bytes
) -> None:
    reader = read(b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n")

    assert isinstance(reader.answer, Answer)
    assert (reader.answer.body, reader.can_be_followed) == (b"", False)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reader = read(LINE + b"\r\n", b'{"a":', b"1}")
    assert not reader.is_over

    reader.close(is_orderly=True)

    assert reader.answer == Answer(200, {}, b'{"a":1}')
    assert not reader.can_be_followed


@pytest.mark.parametrize(
    "data",
    [b"", b"HTTP/1.1 2", LINE, LINE + b"\r\n", OK[:-1], CHUNKED + b"2\r\n{}\r\n", CHUNKED],
)
def test_a_connection_that_is_torn_ends_no_answer(data: bytes) -> None:
    reader = read(data)
    assert reader.answer == CUT

    reader.close(is_orderly=False)

    assert (reader.is_over, reader.can_be_followed, reader.answer) == (True, False, CUT)


@pytest.mark.parametrize("data", [b"", LINE, OK[:-1], CHUNKED + b"2\r\n{}\r\n", CHUNKED])
def test_an_answer_that_says_where_it_ends_does_not_end_before(data: bytes) -> None:
    reader = read(data)

    reader.close(is_orderly=True)

    assert reader.answer == CUT


def test_of_a_repeated_header_the_first_counts_and_of_a_trailer_none() -> None:
    head = LINE + b"RETRY-After: \t1 \r\nretry-after: 2\r\nX-Request-Id:\r\nSet-Cookie: a\r\n"
    framing = b"Transfer-Encoding: chunked\r\n\r\n"
    reader = read(head + framing + b"0\r\nretry-after-ms: 7\r\n\r\n")

    assert reader.answer == Answer(200, {"retry-after": "1", "x-request-id": ""}, b"")


def test_what_an_interim_answer_says_is_not_the_answer_s() -> None:
    reader = read(b"HTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n" + OK)

    assert reader.answer == Answer(200, {}, b"{}")


@pytest.mark.parametrize("limit", [500, 499])
def test_caps_apply_to_the_bytes_that_it_unfolds_to(limit: int) -> None:
    reader = read(GZIPPED, limit=limit)

    whole = Answer(200, {}, b"x" * 500)
    assert reader.answer == (
        whole if limit == 500 else CallFailure(FailureKind.TOO_LARGE, was_sent=True)
    )
    assert reader.can_be_followed == (limit == 500)


@pytest.mark.parametrize(("more", "is_read_out"), [(0, True), (1, False)])
def test_an_error_is_read_so_far_and_no_further(more: int, *, is_read_out: bool) -> None:
    reader = read(reply("500 Oops", b"x" * (MAX_ERROR_BYTES + more)))

    assert reader.answer == Answer(500, {}, b"x" * MAX_ERROR_BYTES)
    assert reader.can_be_followed == is_read_out


@pytest.mark.parametrize("packed", [b"{}" * 20, TORN], ids=["from the start", "at its end"])
@pytest.mark.parametrize("size", [1, 1000])
def test_a_broken_encoding_reads_as_empty_and_costs_the_connection(
    packed: bytes, size: int
) -> None:
    answer = reply("200 OK", packed, "Content-Encoding: gzip")
    reader = read(*(answer[at : at + size] for at in range(0, len(answer), size)))

    assert (reader.answer, reader.can_be_followed) == (Answer(200, {}, b""), False)


ENDLESS = {
    "a header": (LINE + b"A: ", b"x" * 1000),
    "headers": (LINE, b"A: " + b"x" * 995 + b"\r\n"),
    "a reason": (LINE[:-2], b"x" * 1000),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
    "an extension": (CHUNKED + b"2\r\n{}\r\n2;", b"x" * 1000),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"A: " + b"x" * 995 + b"\r\n"),
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("size", [1000, PIECE])
def test_what_goes_on_for_ever_without_a_body_is_left(name: str, size: int) -> None:
    opening, more = ENDLESS[name]
    reader = read(opening)
    flood, fed = more * (2 * PIECE // len(more)), 0
    while not reader.is_over and fed < len(flood):
        reader.feed(flood[fed : fed + size])
        fed += size

    assert (reader.is_over, reader.answer) == (True, CUT)
    assert fed <= MAX_BARREN_BYTES + size


def test_a_hundred_kilobytes_of_head_are_read() -> None:
    headers = [f"X-{number}: {'x' * 990}" for number in range(100)]

    assert read(reply("200 OK", b"{}", *headers)).answer == Answer(200, {}, b"{}")


def test_many_small_chunks_are_no_head() -> None:
    reader = read(CHUNKED, limit=1 << 20)
    for _ in range(100):
        reader.feed(b"1\r\nx\r\n" * 1000)
    reader.feed(b"0\r\n\r\n")

    assert reader.answer == Answer(200, {}, b"x" * 100_000)


def chunked(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x;e\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)


PLAIN = st.binary(max_size=40)
BODIES = st.one_of(PLAIN, PLAIN.map(lambda plain: gzip.compress(plain, mtime=0)))
ENCODINGS = st.sampled_from(["identity", "gzip", "br"])
STRAYS = st.sampled_from([b"", b"", b"x", OK, b"\r\nH"])
FIXED = st.sampled_from(
    [*(data for data, _, _ in WHOLE.values()), *BROKEN.values(), GZIPPED, TORN_ANSWER]
)


@st.composite
def made(draw: st.DrawFn) -> bytes:
    body = draw(BODIES)
    status = draw(st.sampled_from(["200 OK", "429 Slow down", "204 No Content"]))
    headers = [f"Content-Encoding: {draw(ENCODINGS)}", f"Retry-After: {draw(st.integers(0, 99))}"]
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    if draw(st.booleans()):
        return interim + reply(status, body, *headers)
    cut = draw(st.integers(0, len(body)))
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Transfer-Encoding: chunked", "", ""])
    pieces = chunked([body[:cut], body[cut:]])
    return interim + head.encode() + pieces + b"0\r\nTrailer: x\r\n\r\n"


@given(st.one_of(FIXED, made()), STRAYS, st.lists(st.integers(0, 400), max_size=8))
def test_an_answer_reads_the_same_however_it_is_cut(
    answer: bytes, stray: bytes, cuts: list[int]
) -> None:
    data = answer + stray
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]

    at_once = read(data, limit=30)
    cut_up = read(*(piece for piece in pieces if piece), limit=30)

    assert cut_up.answer == at_once.answer
    assert (cut_up.is_over, cut_up.can_be_followed) == (at_once.is_over, at_once.can_be_followed)


@pytest.mark.parametrize("name", [*WHOLE, *BROKEN])
def test_an_answer_reads_the_same_byte_by_byte(name: str) -> None:
    data = WHOLE[name][0] if name in WHOLE else BROKEN[name]
    at_once, dripped = read(data), read(*(bytes([byte]) for byte in data))

    assert dripped.answer == at_once.answer
    assert dripped.can_be_followed == at_once.can_be_followed


@contextmanager
def uncollected() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("data", [OK, BROKEN["two lengths"], LINE])
def test_an_answer_of_megabytes_does_not_wait_for_the_collector(data: bytes) -> None:
    with uncollected():
        reader = read(data)
        reader.close(is_orderly=False)
        watch = weakref.ref(reader)
        del reader

        assert watch() is None
