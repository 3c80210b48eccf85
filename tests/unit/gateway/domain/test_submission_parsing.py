import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import AppError
from services.gateway.domain.errors import InvalidBody, InvalidJson, UnsupportedParameter
from services.gateway.domain.submissions import (
    CONTROL_FIELDS,
    Settings,
    Wish,
    canonical,
    parse,
    parse_retry,
)

MESSAGES = b'[{"role":"user","content":"Hello"}]'


def body(**fields: Any) -> bytes:
    """A good body with `fields` put over it; None stands for null."""
    plain: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    return json.dumps(plain | fields).encode()


def test_defaults_stand_where_the_body_does_not_say() -> None:
    chat = parse(body())

    assert (chat.model, chat.wish, chat.idempotency_key) == ("m", Wish(None, None), None)
    assert chat.settings == Settings(8, timedelta(hours=24), timedelta(seconds=600))


def test_null_is_the_same_as_absent_for_every_field_of_ours() -> None:
    nothing = dict.fromkeys([*CONTROL_FIELDS, "stream"])

    assert msgspec.structs.replace(parse(body(**nothing)), body=b"") == msgspec.structs.replace(
        parse(body()), body=b""
    )


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("model", ["m", "x" * 256, "é" * 128], [None, 5, "", "x" * 257, "é" * 129, "a\0b", ["m"]]),
        ("messages", [[{}], [{"role": "user"}]], [None, [], {}, "hi", ["hi"], [{}, 1], [None]]),
        ("stream", [False], [0, "no", []]),
        ("wait", [True, False], [1, "true", {}]),
        ("wait_timeout", [0, 0.5, 600], [-1, 600.1, "5", True]),
        ("idempotency_key", ["k", "k" * 255], ["", "k" * 256, 7, "a\0"]),
        ("max_attempts", [1, 20, 8.0], [0, 21, 1.5, "3", True]),
        ("deadline_seconds", [1, 604_800, 332.0], [0, 604_801, 1.5, 10**40]),
        ("call_timeout", [1, 3600, 6e1], [0, 0.5, 3601, -5]),
    ],
)
def test_each_field_has_its_bounds_and_its_name_in_the_error(
    field: str, good: list[Any], bad: list[Any]
) -> None:
    for value in good:
        parse(body(**{field: value}))
    for value in bad:
        with pytest.raises(InvalidBody, match=f"^`{field}` must be"):
            parse(body(**{field: value}))


def test_missing_fields_are_named() -> None:
    with pytest.raises(InvalidBody, match="`model`"):
        parse(b'{"messages":' + MESSAGES + b"}")
    with pytest.raises(InvalidBody, match="`messages`"):
        parse(b'{"model":"m"}')


def test_streaming_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedParameter, match="`stream`"):
        parse(body(stream=True))


@pytest.mark.parametrize("text", [b"[]", b"null", b"5", b'"x"', b"true"])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidBody, match="must be a JSON object"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"model":"m",}',
        body() + b"x",
        b"\xef\xbb\xbf" + body(),
        body().replace(b"Hello", b"Hell\xff"),
        body().replace(b"Hello", b"Hell\xed\xa0\x80"),  # a surrogate, encoded
        body().replace(b"Hello", b"Hell\\ud800"),
        body().replace(b'"m"', b'"\\udfff"'),
        body().replace(b"Hello", b"Hell\x00"),
        body().replace(b'"model"', b'"mod\\ud800el"'),
        body(x=1).replace(b"1", b"NaN"),
        body(x=1).replace(b"1", b"[" * 100_000 + b"]" * 100_000),
        body(x=1).replace(b"1", b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    ],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidJson):
        parse(text)


def test_an_error_never_quotes_what_was_sent() -> None:
    secret = "sk-canary-4711"  # pragma: allowlist secret
    texts = [
        body(model={"a": secret}),
        body(messages=[secret]),
        body(idempotency_key=secret * 50),
        body(wait=secret),
        secret.encode(),
        body(stream=True, x=secret),
    ]

    for text in texts:
        with pytest.raises(AppError) as refused:
            parse(text)
        assert secret not in str(refused.value)
        assert refused.value.__cause__ is None


def test_control_fields_are_cut_out_however_they_are_spelt() -> None:
    text = b'{"model":"m","w\\u0061it":true,"messages":' + MESSAGES + b',"call_timeout":5}'

    chat = parse(text)

    assert chat.wish.wants_wait is True
    assert chat.body == b'{"model":"m","messages":' + MESSAGES + b"}"


def test_of_a_member_that_is_there_twice_the_last_is_checked_and_sent() -> None:
    text = b'{"model":"a","messages":[{}],"model":"b","x":1,"x":2}'

    chat = parse(text)

    assert chat.model == "b"
    assert chat.body == b'{"model":"b","messages":[{}],"x":2}'


def test_white_space_and_numbers_inside_a_value_survive() -> None:
    value = b'{ "a" : [ 1.00, 1e5 , 12345678901234567890123 ], "b":"\\u00e9" }'

    chat = parse(b'{"model":"m","messages":[{}], "x" : ' + value + b" }")

    assert chat.body == b'{"model":"m","messages":[{}],"x":' + value + b"}"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcé", max_size=5), inner),
    max_leaves=10,
)  # fmt: skip
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
    lambda name: name not in {*CONTROL_FIELDS, "model", "messages", "stream"}
)


@given(st.dictionaries(NAMES, JSON_VALUES, max_size=6), st.booleans(), st.integers(1, 20))
def test_every_other_member_survives_byte_for_byte(
    others: dict[str, Any], is_ascii: bool, attempts: int
) -> None:
    plain: dict[str, Any] = {"model": "m", "messages": [{}]}
    sent = {"wait": True, **plain, "max_attempts": attempts, **others}

    chat = parse(json.dumps(sent, ensure_ascii=is_ascii).encode())

    members = msgspec.json.decode(chat.body, type=dict[str, msgspec.Raw])
    assert {name: bytes(value) for name, value in members.items()} == {
        name: json.dumps(value, ensure_ascii=is_ascii).encode()
        for name, value in {**plain, **others}.items()
    }


@given(
    st.binary(max_size=300)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_at_all_are_parsed_or_refused(text: bytes) -> None:
    with suppress(AppError):
        parse(text)


NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,6})?", fullmatch=True
)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000])
def test_a_number_that_no_computer_holds_passes_but_cannot_be_compared(number: str) -> None:
    chat = parse(body(x=1).replace(b"1", number.encode()))

    assert number.encode() in chat.body
    with pytest.raises(InvalidBody, match="too large"):
        canonical(chat.body)


@given(NUMBERS)
def test_any_number_is_compared_or_refused(number: str) -> None:
    chat = parse(body(x=1).replace(b"1", number.encode()))

    with suppress(AppError):
        assert canonical(canonical(chat.body)) == canonical(chat.body)


@given(st.dictionaries(NAMES, JSON_VALUES, max_size=6), st.randoms())
def test_what_says_the_same_has_one_canonical_form(others: dict[str, Any], random: Any) -> None:
    sent = {"model": "m", "messages": [{}], **others}
    shuffled = list(sent.items())
    random.shuffle(shuffled)

    one = parse(json.dumps(sent, ensure_ascii=False).encode())
    other = parse(json.dumps(dict(shuffled), indent=2).encode())

    assert canonical(one.body) == canonical(other.body)


@given(
    st.binary(max_size=300)
    | st.dictionaries(st.sampled_from([*CONTROL_FIELDS, "x"]), JSON_VALUES).map(
        lambda fields: json.dumps(fields).encode()
    )
)
def test_any_retry_at_all_is_parsed_or_refused(text: bytes) -> None:
    with suppress(AppError):
        parse_retry(text)


@given(st.dictionaries(st.sampled_from([*CONTROL_FIELDS, "model", "messages"]), JSON_VALUES))
def test_any_values_at_all_are_parsed_or_refused(fields: dict[str, Any]) -> None:
    with suppress(AppError):
        canonical(parse(body(**fields)).body)
