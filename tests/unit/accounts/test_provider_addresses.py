"""Which base URLs and keys can be a provider connection at all."""

import pytest

from services.accounts.domain.connections import (
    check_base_url,
    check_provider_key,
    provider_key_hint,
)
from services.accounts.domain.errors import InvalidBaseUrl, InvalidProviderKey

OPEN = frozenset({"127.0.0.1", "localhost"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        (" https://api.openai.com/v1\n", "https://api.openai.com/v1"),
        ("https://example.com", "https://example.com"),
        ("https://example.com:8443/a/b", "https://example.com:8443/a/b"),
        ("https://[2001:db8::1]/v1", "https://[2001:db8::1]/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("https://localhost/v1", "https://localhost/v1"),
    ],
)
def test_a_good_base_url_is_taken_without_its_last_slash(given: str, expected: str) -> None:
    assert check_base_url(given, OPEN) == expected


@pytest.mark.parametrize(
    "given",
    [
        "",
        "api.openai.com/v1",
        "//api.openai.com/v1",
        "https://",
        "https:///v1",
        "http://api.openai.com/v1",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://user@example.com/v1",
        "https://user:secret@example.com/v1",
        "https://@example.com",
        "https://example.com/v1?key=1",
        "https://example.com/v1?",
        "https://example.com/v1#part",
        "https://example.com/v1#",
        "https://example.com\\@evil.example/v1",
        "https://exa mple.com/v1",
        "https://example.com/\tv1",
        "https://example.com/v1\x00",
        "https://example.com:0/v1",
        "https://example.com:99999/v1",
        "https://example.com:port/v1",
        "https://[::1/v1",
        "https://exämple.com/v1",
        "https://example.com/" + "a" * 500,
    ],
)
def test_what_is_no_base_url_is_refused(given: str) -> None:
    with pytest.raises(InvalidBaseUrl):
        check_base_url(given, OPEN)


def test_plain_http_is_only_for_what_the_operator_opened() -> None:
    url = "http://127.0.0.1:8000/v1"
    assert check_base_url(url, {"127.0.0.1:8000"}) == url

    for opened in (set(), {"127.0.0.1:8001"}, {"localhost"}):
        with pytest.raises(InvalidBaseUrl):
            check_base_url(url, opened)


@pytest.mark.parametrize("given", ["", "  ", "sk one", "sk-\nx", "sk-é", "x" * 1_001])
def test_what_does_not_fit_into_a_header_is_no_provider_key(given: str) -> None:
    with pytest.raises(InvalidProviderKey) as refused:
        check_provider_key(given)

    assert not given.strip() or given not in str(refused.value)


def test_a_provider_key_loses_the_blanks_around_it() -> None:
    assert check_provider_key(" sk-1\n") == "sk-1"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("sk-proj-0123456789abcdef", "sk-…cdef"),
        ("short-secret", "…"),
        ("0123456789abcdef", "012…cdef"),
    ],
)
def test_of_a_provider_key_little_is_shown_and_of_a_short_one_nothing(
    key: str, expected: str
) -> None:
    assert provider_key_hint(key) == expected
