import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.adapters.provider.targets import CallRefused, Origin, Target, target_of
from services.executor.domain.calls import FailureKind

OPEN = frozenset({"localhost", "127.0.0.1:9000", "::1"})


@pytest.mark.parametrize(
    ("base_url", "origin", "authority", "path"),
    [
        ("https://a.example/v1", ("https", "a.example", 443), b"a.example", b"/v1/x"),
        ("https://a.example/v1/", ("https", "a.example", 443), b"a.example", b"/v1/x"),
        ("HTTPS://API.example.com", ("https", "api.example.com", 443), b"api.example.com", b"/x"),
        ("https://h:8443/a/b", ("https", "h", 8443), b"h:8443", b"/a/b/x"),
        ("https://ä.de", ("https", "xn--4ca.de", 443), b"xn--4ca.de", b"/x"),
        ("https://h./v1", ("https", "h", 443), b"h.", b"/v1/x"),
        ("https://[2606:4700::1]/v1", ("https", "2606:4700::1", 443), b"[2606:4700::1]", b"/v1/x"),
        ("http://localhost:8/v1", ("http", "localhost", 8), b"localhost:8", b"/v1/x"),
        ("http://127.0.0.1:9000", ("http", "127.0.0.1", 9000), b"127.0.0.1:9000", b"/x"),
        ("http://[::1]:8/", ("http", "::1", 8), b"[::1]:8", b"/x"),
    ],
)  # fmt: skip
def test_the_endpoint_is_put_after_the_base_url(
    base_url: str, origin: tuple[str, str, int], authority: bytes, path: bytes
) -> None:
    target = target_of(base_url, "/x", OPEN)

    is_open = target.origin.scheme == "http"
    assert target == Target(Origin(*origin), authority, path, is_open=is_open)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.openai.com/v1",
        "//api.openai.com/v1",
        "/v1",
        "https://",
        "https:///v1",
        "https://.",
        "https://.h",
        "https://user@h/v1",
        "https://user:password@h/v1",
        "https://good.example\\@evil.example/v1",
        "https://h/v1?x=1",
        "https://h/v1?",
        "https://h/v1#x",
        "https://h:0/v1",
        "https://h:65536/v1",
        "https://h:x/v1",
        "https://a\r\nb/v1",
        "https://h/\r\nX: y",
        "https://h/\x00",
        "https://①②⑦.0.0.1/",
        "https://[::1/v1",
        "https://h/" + "a" * 2048,
        "ftp://h/v1",
        "file:///etc/passwd",
        "gopher://localhost/v1",
        "unix:/run/x",
        "http://api.openai.com/v1",
        "http://127.0.0.1/v1",
        "http://127.0.0.1:9001/v1",
        "http://localhost.evil.example/v1",
    ],
)
def test_what_is_not_a_plain_https_base_url_is_refused(base_url: str) -> None:
    with pytest.raises(CallRefused) as refused:
        target_of(base_url, "x", OPEN)

    assert refused.value.kind is FailureKind.BAD_URL
    assert str(refused.value) == "bad_url"


@given(st.text(max_size=60).map(lambda text: "https://" + text))
def test_any_text_is_a_target_or_refused(base_url: str) -> None:
    try:
        target = target_of(base_url, "x", OPEN)
    except CallRefused:
        return
    assert target.origin.host.isascii()
    assert all(b" " < bytes([byte]) <= b"~" for byte in target.path + target.authority)
    assert b"@" not in target.authority


@pytest.mark.parametrize("endpoint", ["chat completions", "chat\r\nX: y", "chat\x00", "chat\x7f"])
def test_an_endpoint_that_cannot_stand_in_a_request_is_refused(endpoint: str) -> None:
    with pytest.raises(CallRefused) as refused:
        target_of("https://h/v1", endpoint, OPEN)

    assert refused.value.kind is FailureKind.BAD_URL
