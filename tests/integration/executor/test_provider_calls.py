"""What goes to a provider and what comes back, over real sockets."""

import asyncio
import gzip
import logging
import tracemalloc
import zlib
from pathlib import Path

import pytest

from services.executor.adapters.provider import ProviderOptions
from services.executor.domain.calls import Answer, FailureKind
from tests.support.certificates import self_signed, server_context
from tests.support.provider_calls import (
    BODY,
    KEY,
    LOOPBACK,
    PROMPT,
    answer_of,
    call,
    provider_with,
    sent,
    unsent,
)
from tests.support.raw_server import RawServer, always, raw_server, reply

OK = reply("200 OK", b'{"choices":[]}')
MIB = 1024 * 1024


async def test_the_body_goes_out_as_it_is_with_the_headers_that_belong_to_it() -> None:
    async with raw_server(always(OK)) as server, provider_with() as provider:
        await call(provider, server.url)

    head, body = server.requests[0]
    lines = head.decode().rstrip().split("\r\n")
    assert body == BODY
    assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
    assert dict(line.split(": ", 1) for line in lines[1:]) == {
        "Host": f"127.0.0.1:{server.port}",
        "User-Agent": "ReqRun",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Content-Length": str(len(BODY)),
        "Authorization": f"Bearer {KEY}",
        "X-Client-Request-Id": "rr_1-3",
    }


async def test_the_answer_comes_back_with_the_headers_that_somebody_reads() -> None:
    answer = reply("429 Too Many", b"{}", "Retry-After: 1", "retry-after: 2", "Set-Cookie: a=b")
    async with raw_server(always(answer)) as server, provider_with() as provider:
        assert await call(provider, server.url) == Answer(429, {"retry-after": "1"}, b"{}")


async def test_a_body_of_any_size_gets_through() -> None:
    body = b"x" * (3 * MIB)
    async with (
        raw_server(always(reply("200 OK", body))) as server,
        provider_with() as provider,
    ):
        answer = await answer_of(provider, server.url, body=body)

    assert answer.body == body
    assert server.requests[0][1] == body


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(b'{"a":1}', mtime=0)), ("Deflate", zlib.compress(b'{"a":1}'))],
)
async def test_an_answer_that_is_compressed_all_the_same_is_inflated(
    encoding: str, packed: bytes
) -> None:
    answer = reply("200 OK", packed, f"Content-Encoding: {encoding}")
    async with raw_server(always(answer)) as server, provider_with() as provider:
        assert (await answer_of(provider, server.url)).body == b'{"a":1}'


@pytest.mark.fault(58)
async def test_an_answer_of_broken_compression_reads_as_empty() -> None:
    answer = reply("200 OK", b'{"a":1}', "Content-Encoding: gzip")
    async with raw_server(always(answer)) as server, provider_with() as provider:
        assert (await answer_of(provider, server.url)).body == b""


@pytest.mark.parametrize(("size", "is_too_large"), [(1000, False), (1001, True)])
async def test_the_size_cap_is_exact(size: int, is_too_large: bool) -> None:
    options = ProviderOptions(open_hosts=("127.0.0.1",), max_answer_bytes=1000)
    answer = reply("200 OK", b"x" * size)
    async with raw_server(always(answer)) as server, provider_with(options) as provider:
        result = await call(provider, server.url)

    assert (result == sent(FailureKind.TOO_LARGE)) == is_too_large


async def test_of_an_error_only_the_beginning_is_kept() -> None:
    answer = reply("500 Oops", b"x" * MIB)
    async with raw_server(always(answer)) as server, provider_with() as provider:
        assert await answer_of(provider, server.url) == Answer(500, {}, b"x" * 65_536)


@pytest.mark.fault(59)
async def test_an_answer_of_a_gibibyte_is_left_after_the_cap() -> None:
    written = 0

    async def flood(
        state: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal written
        await state.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(1024):
            writer.write(bytes(MIB))
            await writer.drain()
            written += MIB

    options = ProviderOptions(open_hosts=("127.0.0.1",), max_answer_bytes=MIB)
    async with raw_server(flood) as server, provider_with(options) as provider:
        assert await call(provider, server.url) == sent(FailureKind.TOO_LARGE)

    assert written < 32 * MIB


@pytest.mark.fault(59)
async def test_a_gzip_bomb_is_left_after_the_cap_and_never_unfolds() -> None:
    answer = reply("200 OK", gzip.compress(bytes(128 * MIB)), "Content-Encoding: gzip")
    options = ProviderOptions(open_hosts=("127.0.0.1",), max_answer_bytes=MIB)
    async with raw_server(always(answer)) as server, provider_with(options) as provider:
        tracemalloc.start()
        result = await call(provider, server.url)
        _, most_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert result == sent(FailureKind.TOO_LARGE)
    assert most_bytes < 16 * MIB


@pytest.mark.fault(61)
async def test_a_redirect_is_an_answer_and_nobody_goes_there() -> None:
    async with (
        raw_server(always(OK)) as internal,
        raw_server(always(reply("302 Found", b"", f"Location: {internal.url}"))) as server,
        provider_with() as provider,
    ):
        answer = await answer_of(provider, server.url)

    assert answer.status_code == 302
    assert internal.connections == 0


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        raw_server(always(OK)) as proxy,
        raw_server(always(OK)) as server,
        provider_with() as provider,
    ):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await answer_of(provider, server.url)

    assert (proxy.connections, server.connections) == (0, 1)


async def test_an_early_refusal_of_a_large_body_is_read() -> None:
    async def refuse(
        _: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply("413 Too Large", b"{}"))
        await reader.read()

    async with raw_server(refuse) as server, provider_with() as provider:
        assert (await answer_of(provider, server.url, body=bytes(8 * MIB))).status_code == 413


async def test_tls_is_spoken_to_the_name_at_the_address_that_was_looked_up(
    tmp_path: Path,
) -> None:
    pem = self_signed(tmp_path, "api.example.test")
    context = server_context(pem)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    options = ProviderOptions(open_hosts=("api.example.test",), ca_file=str(pem))
    async with (
        raw_server(always(OK), tls=context) as server,
        # The system knows no such name: any second look-up would fail.
        provider_with(options, lambda _: ["127.0.0.1"]) as provider,
    ):
        answer = await answer_of(provider, f"https://api.example.test:{server.port}/v1")

    assert answer.status_code == 200
    assert names == ["api.example.test"]
    assert f"Host: api.example.test:{server.port}\r\n".encode() in server.requests[0][0]


@pytest.mark.fault(55)
async def test_a_certificate_that_is_not_trusted_expired_or_another_s_is_refused(
    tmp_path: Path,
) -> None:
    own = self_signed(tmp_path, "api.example.test")
    (tmp_path / "other").mkdir()
    cases = [
        (own, None),
        (self_signed(tmp_path, "expired.example.test", is_expired=True), "itself"),
        (self_signed(tmp_path / "other", "other.example.test"), "itself"),
    ]
    for pem, trust in cases:
        options = ProviderOptions(
            open_hosts=("api.example.test",), ca_file=str(pem) if trust else None
        )
        async with (
            raw_server(always(OK), tls=server_context(pem)) as server,
            provider_with(options, lambda _: ["127.0.0.1"]) as provider,
        ):
            result = await call(provider, f"https://api.example.test:{server.port}")

        assert result == unsent(FailureKind.TLS), pem
        assert server.requests == []


async def test_a_second_address_is_tried_when_the_first_refuses() -> None:
    async with (
        raw_server(always(OK)) as server,
        provider_with(
            ProviderOptions(open_hosts=("h",)), lambda _: ["127.0.0.2", "127.0.0.1"]
        ) as provider,
    ):
        assert (await answer_of(provider, f"http://h:{server.port}")).status_code == 200


async def test_no_key_and_no_prompt_is_logged_even_at_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("a library").debug("heard")
    answer = reply("500 Oops", PROMPT.encode())
    async with raw_server(always(answer)) as server, provider_with(LOOPBACK) as provider:
        await answer_of(provider, server.url)

    assert "heard" in caplog.text
    assert KEY not in caplog.text
    assert PROMPT not in caplog.text
