import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.bodies import MAX_TOKENS, Tokens, error_names, read_result

DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", Tokens()),
        (b' {"choices":[]}\n', Tokens()),
        (b'{"usage":null}', Tokens()),
        (b'{"usage":[1]}', Tokens()),
        (b'{"error":null,"usage":{"prompt_tokens":1}}', Tokens(1, None, None)),
        (
            b'{"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"x":{}}}',
            Tokens(1, 2, 3),
        ),
        (
            b'{"usage":{"prompt_tokens":2147483647,"completion_tokens":2147483648}}',
            Tokens(MAX_TOKENS, None, None),
        ),
        (b'{"usage":{"prompt_tokens":-1,"completion_tokens":1.5}}', Tokens()),
        (b'{"usage":{"prompt_tokens":true,"completion_tokens":"7"}}', Tokens()),
        (b'{"usage":{"prompt_tokens":1e400}}', Tokens()),
        (b'{"usage":{"prompt_tokens":' + b"9" * 400 + b"}}", Tokens()),
    ],
)
def test_tokens_are_read_where_they_are_believable(body: bytes, expected: Tokens) -> None:
    assert expected == read_result(body)


@pytest.mark.fault(58)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"{}"',
        b"<html></html>",
        b'{"choices":[',
        b'{"choices":[]}{',
        b'{"choices":NaN}',
        b'{"text":"\xff"}',
        b'{"\xff":1}',
        b"\xef\xbb\xbf{}",
        b'{"choices":' + DEEP + b"}",
        b'{"error":{"message":"the model behind us failed"}}',
    ],
)
def test_what_is_not_a_json_object_or_is_an_error_is_no_result(body: bytes) -> None:
    assert read_result(body) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"code":"a","type":"b"}}', {"a", "b"}),
        (b'{"error":{"code":null,"type":"b"}}', {"b"}),
        (b'{"error":{"code":7}}', set()),
        (b'{"error":"a"}', set()),
        (b'{"detail":"a"}', set()),
        (b'{"error":' + DEEP + b"}", set()),
        (b"", set()),
        (b"[]", set()),
    ],
)
def test_an_error_body_is_asked_for_its_code_and_type(body: bytes, expected: set[str]) -> None:
    assert expected == error_names(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    read_result(body)
    error_names(body)
