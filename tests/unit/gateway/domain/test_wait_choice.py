import json
from datetime import timedelta

import pytest

from services.gateway.domain.errors import UnsupportedParameter
from services.gateway.domain.submissions import parse
from services.gateway.domain.waits import Default, choose, parse_preference, parse_query

DEFAULT = Default(timedelta(seconds=25), is_wanted=False)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("wait=10", 10),
        ("wait=0", 0),
        ("WAIT=10", 10),
        ('wait="10"', 10),
        (" respond-async , wait = 10 ", 10),
        ("wait=10; x=y, wait=20", 10),
        ("wait=900", 600),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=soon", None),
        ("await=5", None),
        ("wait=99999999999999999999", None),
    ],
)
def test_a_preference_is_read_or_ignored(header: str | None, expected: int | None) -> None:
    wanted = None if expected is None else timedelta(seconds=expected)

    assert parse_preference(header) == wanted


@pytest.mark.parametrize(
    ("fields", "preference", "expected"),
    [
        ({}, None, 0),
        ({"wait": True}, None, 25),
        ({"wait": True, "wait_timeout": 3}, None, 3),
        ({"wait": True, "wait_timeout": 0}, None, 0),
        ({"wait": True, "wait_timeout": 3}, 10, 3),
        ({"wait": True}, 10, 10),
        ({}, 10, 10),
        ({}, 0, 0),
        ({"wait": False}, 10, 0),
        ({"wait": False, "wait_timeout": 3}, None, 0),
        ({"wait_timeout": 3}, None, 0),
        ({"wait_timeout": 3}, 10, 3),
    ],
)
def test_the_body_decides_before_the_header(
    fields: dict[str, object], preference: int | None, expected: int
) -> None:
    chat = parse(json.dumps({"model": "m", "messages": [{}], **fields}).encode())
    wanted = None if preference is None else timedelta(seconds=preference)

    assert choose(chat.wish, wanted, DEFAULT) == timedelta(seconds=expected)


def test_a_query_says_how_long_in_seconds() -> None:
    assert parse_query(None) == timedelta()
    assert parse_query("2.5") == timedelta(seconds=2.5)
    assert parse_query("1.25e2") == timedelta(seconds=125)
    assert parse_query("429.1276045549024") == timedelta(seconds=429.1276045549024)
    assert parse_query("1e-300") == timedelta()
    assert parse_query("600") == timedelta(minutes=10)


@pytest.mark.parametrize(
    "text", ["", "-1", "601", "x", "1e3", "1e999", "nan", "inf", "1" * 4000, "٣"]
)
def test_a_query_that_says_something_else_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedParameter):
        parse_query(text)
